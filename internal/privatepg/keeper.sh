# Keeps one server: stops it when its last user has gone, and removes its folder.
#   $1  a name, for the list of processes    descriptor 3  the pipe "users"
#   $2  the folder                           descriptor 4  the pipe "server"
#   $3  seconds of grace
# It runs in the background, so that whoever starts it need not wait for it.

folder=$2
grace=$3

# until_end reads until nobody has the pipe open for writing.
until_end() {
	while read -r line; do :; done
}

# stop asks the postmaster to end at once, for its data goes too, and then insists. It begins after a second: by then the
# end of "server" shows whether there is anyone to be stopped, or only a file with a number that is another process's now.
# The number is negative while initdb runs, which ends by itself.
stop() {
	signal=QUIT
	round=0
	while sleep 1; do
		pid=
		read -r pid <"$folder/data/postmaster.pid"
		case $pid in
		'' | *[!0-9]*) ;;
		*) kill -$signal "$pid" ;;
		esac
		round=$((round + 1))
		if [ $round -ge 4 ]; then signal=KILL; fi
	done
}

keep() {
	trap '' HUP INT
	while :; do
		until_end <&3
		sleep "$grace" 3<&- 4<&-
		read -r line <&3 || break # else someone came during the grace
	done
	: >"$folder/closed" # nobody may come any more
	until_end <&3       # who came before that stays as long as he likes

	stop 3<&- 4<&- &
	until_end <&4
	kill $!
	rm -rf "$folder"
}

keep &
