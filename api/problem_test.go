package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/assent-io/assent/api"
)

func TestAProblemSaysEverythingInOneLine(t *testing.T) {
	t.Parallel()
	p := &api.Problem{Status: 422, Code: api.ProblemCodeInvalidRequest, Detail: "Three things are wrong.", Errors: []api.Fault{
		{Pointer: "#/to", Detail: "is required"}, {Parameter: "wait", Detail: "must be a number"}, {Header: "Idempotency-Key", Detail: "must be given once"},
	}}
	err := fmt.Errorf("create verification: %w", p)
	want := "create verification: 422 invalid_request: Three things are wrong.; #/to is required; wait must be a number; Idempotency-Key must be given once"
	if err.Error() != want {
		t.Errorf("%q", err)
	}
	var found *api.Problem
	if !errors.As(err, &found) || found.Code != api.ProblemCodeInvalidRequest {
		t.Error("the problem was not found in the error")
	}
}

func TestOnlyPendingIsOpen(t *testing.T) {
	t.Parallel()
	for status, closed := range map[api.Status]bool{
		api.StatusPending: false, api.StatusApproved: true, api.StatusDenied: true,
		api.StatusExpired: true, api.StatusCanceled: true, api.StatusFailed: true,
	} {
		if v := (&api.Verification{Status: status}); v.Closed() != closed {
			t.Error(status)
		}
	}
}

func TestSpecIsTheDocumentAndCannotBeChanged(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	clear(api.Spec())
	if !bytes.Equal(api.Spec(), file) {
		t.Error("the embedded document is not the file")
	}
}
