package browsertest

import (
	"github.com/chromedp/cdproto/webauthn"
)

// Passkey is an authenticator within the device of a tab, such as a finger on a phone. It answers at once.
type Passkey struct {
	tab *Tab
	id  webauthn.AuthenticatorID
}

// Passkey gives the tab's device an authenticator that knows its person, or does not. Chromium wants
// a host with a name for it: http://localhost, not http://127.0.0.1.
func (p *Tab) Passkey(verified bool) *Passkey {
	p.t.Helper()
	Call(p, webauthn.Enable, webauthn.EnableParams{})
	added := Call(p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: verified, AutomaticPresenceSimulation: true,
	}})
	return &Passkey{tab: p, id: added.AuthenticatorID}
}

// Verified sets whether the authenticator knows its person from now on.
func (k *Passkey) Verified(yes bool) {
	k.tab.t.Helper()
	Call(k.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: k.id, IsUserVerified: yes})
}

// Credentials are those that it keeps.
func (k *Passkey) Credentials() []*webauthn.Credential {
	k.tab.t.Helper()
	return Call(k.tab, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: k.id}).Credentials
}

// Lose takes the authenticator away, with what it keeps.
func (k *Passkey) Lose() {
	k.tab.t.Helper()
	Call(k.tab, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: k.id})
}
