// Package api is the public HTTP contract of Assent: the OpenAPI document, which is
// the truth, and the wire types generated from it. It depends on the standard
// library only, so that anybody can import it; package client beside it calls the
// API. Handlers live in the server and are tested against the document.
package api

import _ "embed"

//go:embed openapi.yaml
var spec string

// Spec is the OpenAPI document in YAML, as it stands in the repository.
func Spec() []byte { return []byte(spec) }
