package scenario_test

import (
	"testing"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

func TestTheInboxIsForEverybody(t *testing.T) {
	t.Parallel()
	s := Alone(t)
	p := browsertest.Start(t).Tab(t)
	inBothThemes := func(p *browsertest.Tab) {
		for _, dark := range []bool{false, true} {
			p.Look(1280, 800, dark)
			p.Axe()
			p.Look(390, 844, dark)
			p.Axe()
		}
	}
	p.Open(s.system.inbox + "/sandbox")
	p.Sees("#livewords", "Live")
	p.Sees("#empty", "Send yourself a code")
	inBothThemes(p)

	ana, ben := somebody(), somebody()
	s.Create(text(ana).Brand("Example Bank"))
	s.Create(mail(ana).Link().Brand("Example Bank"))
	s.Create(call(ben).Brand("Example Bank"))
	phone := s.Phone(api.PlatformWebPush)
	s.Create(push(phone).Brand("Example Bank").About(payment))
	for to, channel := range map[string]string{ana.number: "Text", ben.number: "Call", ana.mailbox: "Email", phone.Token: "Push"} {
		t.Run(channel, func(t *testing.T) {
			p := p.In(t)
			m := s.in(t).Message(to)
			p.Open(s.system.inbox + "/sandbox#m=" + m.ID)
			p.Sees("#detail h2", channel)
			inBothThemes(p)
		})
	}
	p.Open(s.system.inbox + "/sandbox")
	p.Sees("#list", "Ana's phone")
	inBothThemes(p)
	for _, dialog := range []string{"reserved", "phone", "keys"} {
		p.Look(1280, 800, false)
		p.Click(`[data-dialog="` + dialog + `"]`)
		p.Sees("#"+dialog+" h2", "")
		inBothThemes(p)
		p.Click("#" + dialog + " .close")
	}
	p.Silent()
}
