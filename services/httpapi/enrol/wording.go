package enrol

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
)

// catalog holds the languages of the page; the first is the one for everybody else.
var catalog = []*wording{english, german, spanish, french, portuguese, hindi, arabic}

// wording is everything the page says in one language. Sentences are whole, with named parts in braces. Where one
// names the brand, what follows a bar is said where there is none.
type wording struct {
	Tag, Name, Dir string
	Months         [12]string
	Date           string // {day} and {month}

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
	Overtaken, OvertakenText                                     string
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

func wordingOf(tag string) *wording {
	for _, w := range catalog {
		if w.Tag == tag {
			return w
		}
	}
	return catalog[0]
}

func known(tag string) bool { return wordingOf(tag).Tag == tag }

// languageFor is the language of a page: the link that was chosen, the client's locale, what
// the browser asks for, English.
func languageFor(r *http.Request, locale string) string {
	if chosen := r.URL.Query().Get("lang"); known(chosen) {
		return chosen
	}
	tags := make([]language.Tag, len(catalog))
	for i, w := range catalog {
		tags[i] = language.Make(w.Tag)
	}
	matcher := language.NewMatcher(tags)
	if wanted, err := language.Parse(locale); err == nil {
		if _, i, confidence := matcher.Match(wanted); confidence >= language.Low {
			return catalog[i].Tag
		}
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return catalog[0].Tag
	}
	_, i, _ := matcher.Match(wanted...)
	return catalog[i].Tag
}

// named is what the named parts of a sentence stand for.
type named map[string]part

// say cuts a sentence at its named parts, so that the template isolates each: a brand may be
// written in the other direction, and a time carries its machine form.
func (v *visit) say(sentence string, n named) []part {
	branded, plain, either := strings.Cut(sentence, "|")
	if sentence = branded; either && v.link.Brand == "" {
		sentence = plain
	}
	var parts []part
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "{")
		if before != "" {
			parts = append(parts, part{Kind: "text", Text: before})
		}
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		if name == "brand" {
			parts = append(parts, part{Kind: "name", Text: v.link.Brand})
		} else {
			parts = append(parts, n[name])
		}
		sentence = after
	}
	return parts
}

// clock is a time of today. It names its zone: the page does not know where the person is.
func (w *wording) clock(t time.Time) part {
	t = t.UTC()
	return part{Kind: "time", Text: t.Format("15:04") + " UTC", At: t}
}

// date is a day.
func (w *wording) date(t time.Time) part {
	t = t.UTC()
	text := strings.ReplaceAll(w.Date, "{day}", strconv.Itoa(t.Day()))
	text = strings.ReplaceAll(text, "{year}", strconv.Itoa(t.Year()))
	return part{Kind: "time", Text: strings.ReplaceAll(text, "{month}", w.Months[t.Month()-1]), At: t}
}

// hostOf is the host that a web address leads to; empty for anything else.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Host
}
