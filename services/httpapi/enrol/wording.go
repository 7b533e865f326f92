package enrol

import (
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/webpage"
)

// catalog holds the languages of the page; the first is the one for everybody else.
var catalog = webpage.NewCatalog(english, german, spanish, french, portuguese, hindi, arabic)

// wording is everything the page says in one language. Sentences are whole, with named parts in braces. Where one
// names the brand, what follows a bar is said where there is none.
type wording struct {
	webpage.Language
	OnDate string // {day}, {month} and {year}

	Title, For, Nothing, Yours, Default, FirstAsked, Added string
	Rename, MakeDefault, Remove                            string
	Unfinished, Continue, Cancel                           string
	AddHeading, Open                                       string
	Done, DoneHeading, DoneText, BackTo, BackToList        string
	TryAgain, Error, OtherLanguages                        string

	KindPhone, KindMailbox, KindTOTP, KindPush, KindApp          string
	AddPhone, AddMailbox, AddTOTP, AddPush                       string
	PhoneNote, MailboxNote, TOTPNote, PushNote                   string
	DefaultPhone, DefaultMailbox, DefaultTOTP, DefaultPush       string
	TOTPLead, PushLead                                           string
	Number, NumberHint, Mailbox, MailboxHint, NameLabel          string
	TextMe, CallMe, MailMe                                       string
	NameMissing, NameLong                                        string
	FlawForm, FlawDigits, FlawCountry, FlawShort, FlawLong       string
	FlawUnknown, FlawIsMailbox, FlawIsNumber                     string
	FlawMail, FlawASCII, FlawDomain                              string
	Enrolled, Suppressed, LimitNumber, LimitUser, LimitPrompts   string
	LimitCodes                                                   string
	EnterCode, CodeLabel, SentText, SentMail, SentCall, Confirm  string
	SendAgain, SendNew, NothingArrived, TextHelp, MailHelp       string
	CallHelp                                                     string
	NoCode, ShortCode, WrongCode, WrongAppCode, TooMany, TooLong string
	TriesLeft                                                    [5]string // by their number; the first is never said
	Undelivered                                                  string
	AnswerCall, CallLead, CallWaiting, CallAgain, CallFailed     string
	LooksAgain, StopLooking, CheckNow                            string
	ScanSecret, SecretLead, SecretQR, TypeSecret, OpenApp        string
	ThenCode                                                     string
	ScanJoin, JoinLead, JoinQR, OpenHere, TypeJoin, JoinUntil    string
	JoinWaiting                                                  string
	RenameHeading, Save, DefaultHeading, DefaultText             string
	RemoveHeading, RemoveText, RemoveLast, Keep                  string
	ProofHeading, ProofLead, ByText, ByCall, ByMail, ByApp       string
	ByPush, ByRecovery, OtherWay, NoneAtHand                     string
	AppCodeLead                                                  string
	Approve, ApproveLead, ApproveWaiting, ApproveAction          string
	Refused, Unanswered, NotDelivered                            string
	RecoverHeading, RecoverLabel, RecoverHint, RecoverWrong      string
	RecoverForm                                                  string
	SaidAdded, SaidRenamed, SaidDefault, SaidRemoved             string
	SaidRemovedLast, SaidCanceled, SaidAgain, SaidNew, SaidProof string
	SaidRecovered                                                string
	Unknown, UnknownText, Expired, Withdrawn, AskForAnother      string
	Locked, LockedText, Away, AwayText, NotSaved                 string
	Elsewhere, ElsewhereText, CookieLost, CookieLostText         string
	Gone, GoneText, TooLate, TooLateText, Crowded, CrowdedText   string
	BegunElsewhere, BegunElsewhereText, BeginAgain               string
	Overtaken, OvertakenText, ProverGone, CodeGone               string
	NothingLeft, NothingLeftText                                 string
	LimitAsked, LimitPushes, OtherOpen                           string
	BegunOften, BegunOftenText                                   string
}

// What the next page says was done.
const (
	saidAdded     = "added"
	saidRenamed   = "renamed"
	saidDefault   = "default"
	saidRemoved   = "removed"
	saidLast      = "last"
	saidCanceled  = "canceled"
	saidAgain     = "again"
	saidNew       = "new"
	saidProof     = "proof"
	saidRecovered = "recovered"
)

func (w *wording) said(what string) string {
	return map[string]string{
		saidAdded: w.SaidAdded, saidRenamed: w.SaidRenamed, saidDefault: w.SaidDefault, saidRemoved: w.SaidRemoved,
		saidLast: w.SaidRemovedLast, saidCanceled: w.SaidCanceled, saidAgain: w.SaidAgain, saidNew: w.SaidNew,
		saidProof: w.SaidProof, saidRecovered: w.SaidRecovered,
	}[what]
}

// flaw says what is wrong with a number or mailbox.
func (w *wording) flaw(f address.Flaw) string {
	return map[address.Flaw]string{
		address.NotAbroad: w.FlawForm, address.NotDigits: w.FlawDigits, address.NoCountry: w.FlawCountry,
		address.Short: w.FlawShort, address.Long: w.FlawLong, address.NoNumber: w.FlawUnknown,
		address.IsMailbox: w.FlawIsMailbox, address.IsNumber: w.FlawIsNumber, address.NoMailbox: w.FlawMail,
		address.NotASCII: w.FlawASCII, address.NoDomain: w.FlawDomain,
	}[f]
}

// kind is what a device is, in words.
func (w *wording) kind(d device.Device) string {
	switch d.Kind {
	case device.Phone:
		return w.KindPhone
	case device.Mailbox:
		return w.KindMailbox
	case device.TOTP:
		return w.KindTOTP
	case device.Push:
		if d.Platform == device.APNs || d.Platform == device.FCM {
			return w.KindApp
		}
	}
	return w.KindPush
}

// adding are the words about adding a kind.
func (w *wording) adding(k device.Kind) (heading, note, name string) {
	switch k {
	case device.Phone:
		return w.AddPhone, w.PhoneNote, w.DefaultPhone
	case device.Mailbox:
		return w.AddMailbox, w.MailboxNote, w.DefaultMailbox
	case device.TOTP:
		return w.AddTOTP, w.TOTPNote, w.DefaultTOTP
	case device.Push:
	}
	return w.AddPush, w.PushNote, w.DefaultPush
}

// say is a sentence of this visit: what follows a bar is said where there is no brand.
func (v *visit) say(sentence string, n webpage.Named) []webpage.Part {
	branded, plain, either := strings.Cut(sentence, "|")
	if sentence = branded; either && v.link.Brand == "" {
		sentence = plain
	}
	named := webpage.Named{"brand": {Kind: webpage.Name, Text: v.link.Brand}}
	maps.Copy(named, n)
	return webpage.Split(sentence, named)
}

// date is a day.
func (w *wording) date(t time.Time) webpage.Part {
	return webpage.Part{Kind: webpage.Time, Words: w.Date(w.OnDate, t), At: t.UTC()}
}

// hostOf is the host that a web address leads to; empty for anything else.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Host
}
