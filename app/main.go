// Command plumbline is the whole product in one binary: the gateway, the
// register, the assessment engine, the documents and the web UI.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"plumbline/app/fault"
)

// version is set by the linker; a plain `go run` or `go build` leaves it.
var version = "dev"

// The exit codes. They are part of the interface: docs/cli.md lists them.
const (
	exitOK         = 0
	exitFailed     = 1 // it was tried and failed, or a check found something wrong
	exitUsage      = 2 // bad flags, an unreadable file, a configuration that does not hold
	exitNotChecked = 3 // verify: everything shown holds, but the document's hash could not be checked
)

// console is what a command may touch of the outside.
type console struct {
	out, err io.Writer
	env      func(string) string
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// command is one entry of the table below. prepare declares its flags and
// returns what runs once they are parsed.
type command struct {
	name    string // as typed; two words for a group
	args    string // what follows the flags
	short   string
	prepare func(fs *flag.FlagSet) func(ctx context.Context, c *console, args []string) error
}

// commands in the order of the help text. docs/cli.md is checked against it.
func commands() []command {
	return []command{
		{"demo", "", "create a sample organisation, send traffic, issue documents, keep serving", prepareDemo},
		{"serve", "", "run the gateway, the web UI and the scheduled jobs", prepareServe},
		{"verify", "FILE…", "check documents, proofs or an export offline, without a server", prepareVerify},
		{"export", "DIR", "write a range of an organisation's ledger for someone to verify", prepareExport},
		{"ledger key", "", "print the verifier keys of the ledger's logs", prepareLedgerKey},
		{"ledger fork", "", "open a new generation after a restore, naming what is missing", prepareLedgerFork},
		{"rerate", "", "compute the charges of a period again with a price table, and correct what differs", prepareRerate},
		{"backup", "DIR", "write a consistent copy of the data directory", prepareBackup},
		{"migrate", "", "bring the databases to this version's schema", prepareMigrate},
		{"user create", "", "create an account and print its one-time sign-in link", prepareUserCreate},
		{"config validate", "", "check the configuration and every declaration it names", prepareConfigValidate},
		{"version", "", "print the version", prepareVersion},
		{"healthcheck", "", "ask a running server whether it is alive", prepareHealthcheck},
	}
}

// exitError carries an exit code; a nil cause has been printed already.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e *exitError) Unwrap() error { return e.cause }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c := &console{out: os.Stdout, err: os.Stderr, env: os.Getenv}
	code := run(ctx, c, os.Args[1:])
	stop()
	os.Exit(code)
}

// run finds the command, parses its flags, runs it and gives the exit code.
func run(ctx context.Context, c *console, args []string) int {
	if len(args) == 0 {
		help(c.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "--help":
		help(c.out)
		return exitOK
	}
	cmd, rest, ok := find(args)
	if !ok {
		fmt.Fprintf(c.err, "plumbline: no command %q; `plumbline help` lists them\n", args[0])
		return exitUsage
	}
	fs := flag.NewFlagSet("plumbline "+cmd.name, flag.ContinueOnError)
	fs.SetOutput(c.err)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "plumbline %s: %s\n\nusage: plumbline %s\n", cmd.name, cmd.short, strings.TrimSpace(cmd.name+" [flags] "+cmd.args))
		fs.PrintDefaults()
	}
	action := cmd.prepare(fs)
	rest, err := parseFlags(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	if cmd.args == "" && len(rest) > 0 {
		fmt.Fprintf(c.err, "plumbline %s: takes no argument, got %q\n", cmd.name, rest[0])
		return exitUsage
	}
	return exitCode(c, cmd.name, action(ctx, c, rest))
}

// parseFlags accepts flags before and after the arguments, so that
// `plumbline export DIR --org acme` means what it says.
func parseFlags(fs *flag.FlagSet, args []string) ([]string, error) {
	var plain []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return plain, nil
		}
		plain = append(plain, args[0])
		args = args[1:]
	}
}

// find matches one word or two.
func find(args []string) (command, []string, bool) {
	for _, cmd := range commands() {
		words := strings.Fields(cmd.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == cmd.name {
			return cmd, args[len(words):], true
		}
	}
	return command{}, nil, false
}

// exitCode prints an error once, as its kind deserves, and gives the code.
func exitCode(c *console, name string, err error) int {
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.cause != nil {
			fmt.Fprintf(c.err, "plumbline %s: %v\n", name, exit.cause)
		}
		return exit.code
	}
	fmt.Fprintf(c.err, "plumbline %s: %v\n", name, err)
	if fault.KindOf(err) == fault.Invalid {
		return exitUsage
	}
	return exitFailed
}

func help(w io.Writer) {
	fmt.Fprintln(w, "plumbline: AI governance with the gateway inside it")
	fmt.Fprintln(w)
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", cmd.name, cmd.short)
	}
	fmt.Fprintln(w, "\n`plumbline COMMAND --help` shows its flags. Exit codes: 0 done, 1 failed, 2 usage or unreadable input, 3 verified but the document's hash could not be checked.")
}
