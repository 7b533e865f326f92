package secureauth

import "net/http"

// absent is what SecureAuth's API has and Assent has not: judging addresses, browsers and typing habits,
// seeds of its own tokens, and FIDO2.
var absent = []struct{ method, path, what string }{
	{http.MethodPost, "ipeval", "Evaluating the risk of IP addresses"},
	{http.MethodPost, "adaptauth", "Adaptive authentication"},
	{http.MethodGet, "dfp/js", "Recognizing browsers"},
	{http.MethodPost, "dfp/validate", "Recognizing browsers"},
	{http.MethodPost, "dfp/confirm", "Recognizing browsers"},
	{http.MethodPost, "dfp/score", "Recognizing browsers"},
	{http.MethodPost, "dfp/save", "Recognizing browsers"},
	{http.MethodGet, "behavebio/js", "Recognizing people by their typing"},
	{http.MethodPost, "behavebio", "Recognizing people by their typing"},
	{http.MethodPut, "behavebio", "Recognizing people by their typing"},
	{http.MethodPost, "oath", "Handing out the seeds of tokens"},
	{http.MethodPost, "fido/enrollment/begin", "FIDO2"},
	{http.MethodPost, "fido/enrollment/complete", "FIDO2"},
	{http.MethodPost, "fido/login", "FIDO2"},
	{http.MethodPut, "fido/tokens", "FIDO2"},
	{http.MethodDelete, "fido/tokens", "FIDO2"},
}

func (s *Server) absentRoutes() []route {
	routes := make([]route, len(absent))
	for i, a := range absent {
		routes[i] = route{method: a.method, path: a.path, handle: func(*call) error {
			return &fault{code: http.StatusNotImplemented, status: statusFailed, message: a.what + " is not part of this server."}
		}}
	}
	return routes
}
