package sandbox_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/sandbox"
)

func TestRun_PortTaken_OneClearLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	s, err := sandbox.New(sandbox.Options{Dir: t.TempDir(), Addr: taken.Addr().String(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "is taken by another program; stop it, or choose another address")
}

func TestRun_ContextEnds_ClosesCleanly(t *testing.T) {
	s, err := sandbox.New(sandbox.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Run(ctx))
}

func TestNew_ImpossibleConfiguration_Refused(t *testing.T) {
	for name, o := range map[string]sandbox.Options{
		"no folder":       {},
		"no secret":       {Dir: t.TempDir(), Webhooks: sandbox.Webhooks{StripeURL: "http://127.0.0.1:1/"}},
		"no token":        {Dir: t.TempDir(), Webhooks: sandbox.Webhooks{SMSInboundURL: "http://127.0.0.1:1/"}},
		"address no URL":  {Dir: t.TempDir(), Webhooks: sandbox.Webhooks{MailURL: "127.0.0.1:1"}},
		"mail key no key": {Dir: t.TempDir(), Webhooks: sandbox.Webhooks{MailKey: "bm9uc2Vuc2U="}},
	} {
		_, err := sandbox.New(o)
		require.Error(t, err, name)
	}
}

func TestMailKey_FirstCallMakesIt_AllLaterAgree(t *testing.T) {
	dir := t.TempDir()
	_, first, err := sandbox.MailKey(dir)
	require.NoError(t, err)
	_, second, err := sandbox.MailKey(dir)
	require.NoError(t, err)
	require.Equal(t, first, second)
	_, err = mail.ParseKey(first)
	require.NoError(t, err)
}
