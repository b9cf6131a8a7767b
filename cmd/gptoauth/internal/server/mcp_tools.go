package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

// The events of the two tools, beside those that the store writes itself.
const (
	eventJobSearch     = "job_search"
	eventResumeAnalyze = "resume_analyze"
)

// exampleJobs is what there is to be found.
var exampleJobs = []job{
	{"Backend engineer (Go)", "Berlin", []string{"go", "postgresql", "oauth"}},
	{"Database reliability engineer", "Remote", []string{"postgresql", "linux", "monitoring"}},
	{"Frontend developer", "Lisbon", []string{"typescript", "css", "accessibility"}},
	{"Data analyst", "Remote", []string{"sql", "statistics", "python"}},
}

type job struct {
	Title    string   `json:"title"`
	Location string   `json:"location"`
	Skills   []string `json:"skills"`
}

type jobSearchInput struct {
	Query    string `json:"query"              jsonschema:"words that the title or skills should have"`
	Location string `json:"location,omitempty" jsonschema:"a city, or Remote"`
}

type jobSearchOutput struct {
	Jobs []job `json:"jobs"`
}

type resumeAnalyzeInput struct {
	Text string `json:"text" jsonschema:"the resume as plain text"`
}

type resumeAnalyzeOutput struct {
	Words  int      `json:"words"`
	Skills []string `json:"skills" jsonschema:"skills that some job asks for"`
}

func (s *Server) addTools(server *mcp.Server) {
	mcp.AddTool(server, &mcp.Tool{
		Name: eventJobSearch, Title: "Search jobs", Description: "Searches a small list of example jobs.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, s.jobSearch)
	mcp.AddTool(server, &mcp.Tool{
		Name: eventResumeAnalyze, Title: "Analyze a resume", Description: "Counts words and finds skills. The text is not kept.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, s.resumeAnalyze)
}

func (s *Server) jobSearch(ctx context.Context, request *mcp.CallToolRequest, input jobSearchInput) (*mcp.CallToolResult, jobSearchOutput, error) {
	output := jobSearchOutput{Jobs: []job{}}
	words := strings.Fields(strings.ToLower(input.Query))
	for _, j := range exampleJobs {
		text := strings.ToLower(j.Title + " " + strings.Join(j.Skills, " "))
		if (input.Location == "" || strings.EqualFold(input.Location, j.Location)) &&
			!slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
			output.Jobs = append(output.Jobs, j)
		}
	}
	return nil, output, s.used(ctx, request, eventJobSearch, map[string]any{"results": len(output.Jobs)})
}

func (s *Server) resumeAnalyze(ctx context.Context, request *mcp.CallToolRequest, input resumeAnalyzeInput) (*mcp.CallToolResult, resumeAnalyzeOutput, error) {
	text := strings.ToLower(input.Text)
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n.,;:()/", r) })
	output := resumeAnalyzeOutput{Words: len(words), Skills: []string{}}
	for _, j := range exampleJobs {
		for _, skill := range j.Skills {
			if slices.Contains(words, skill) && !slices.Contains(output.Skills, skill) {
				output.Skills = append(output.Skills, skill)
			}
		}
	}
	slices.Sort(output.Skills)
	return nil, output, s.used(ctx, request, eventResumeAnalyze, map[string]any{"words": output.Words, "skills": len(output.Skills)})
}

// used writes what a tool has done into the audit trail, without what the person wrote, and notes that the session is in
// use. If the session has ended since the token was checked, or the scope (where the operator has one of this name) was not
// granted, the tool has not been used.
func (s *Server) used(ctx context.Context, request *mcp.CallToolRequest, eventType string, metadata map[string]any) error {
	info := tokenInfo(request)
	if info == nil {
		return errors.New("there is no access token")
	}
	if scope := scopeOfTool[eventType]; s.config.Scopes[scope] != "" && !slices.Contains(info.Scopes, scope) {
		return fmt.Errorf("the person has not allowed %s", scope)
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return fmt.Errorf("describe the event: %w", err)
	}
	session := mcpauth.SessionID(info)
	alive, err := s.store.Sessions.Touch(ctx, session)
	if err == nil && !alive {
		return errors.New("the session has ended")
	}
	if err == nil {
		err = s.store.Events.Append(ctx, repo.AppendParams{
			Type: eventType, ClerkUserID: info.UserID, ClientID: mcpauth.ClientID(info), SessionID: session, Metadata: text,
		})
	}
	if err != nil {
		s.log.ErrorContext(ctx, "the store cannot note the use of a tool", "tool", eventType, "error", err)
		s.metrics.storeErrors.Inc()
		return errors.New("temporarily unavailable, try again")
	}
	return nil
}

func tokenInfo(request *mcp.CallToolRequest) *auth.TokenInfo {
	if request.Extra == nil {
		return nil
	}
	return request.Extra.TokenInfo
}
