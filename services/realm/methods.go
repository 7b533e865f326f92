package realm

// Methods are the types of authentication that the API knows, by which Settings.Methods chooses.
func Methods() []string {
	return []string{
		"user_id", "password", "kba", "oath", "pin", "yubikey", "call", "sms", "email", "push", "push_accept",
		"push_accept_symbol", "push_accept_biometric", "sms_link", "email_link", "help_desk",
	}
}
