// Controlplane is a whole Kubernetes control plane for tests in one binary: etcd, the four servers and kubectl.
//
// Which of them a process is, its name says (a link to the binary) or else its first argument. One binary, as
// the commands share nearly all of their code: it links in seconds and takes a fifth of the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata" // the time zones of CronJobs, where the machine has none

	"go.etcd.io/etcd/server/v3/embed"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways a user's kubeconfig may prove an identity
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// endsWithStdin names the variable that ties a server to whoever holds the other end of its standard input.
const endsWithStdin = "CONTROLPLANE_ENDS_WITH_STDIN"

var commands = map[string]func(){
	"etcd":                    runEtcd,
	"kube-apiserver":          func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) },
	"kube-controller-manager": func() { os.Exit(cli.Run(controllers.NewControllerManagerCommand())) },
	"kube-proxy":              func() { os.Exit(cli.Run(proxy.NewProxyCommand())) },
	"kube-scheduler":          func() { os.Exit(cli.Run(scheduler.NewSchedulerCommand())) },
	"kubectl":                 runKubectl,
}

func main() {
	run, known := commands[filepath.Base(os.Args[0])]
	if !known && len(os.Args) > 1 {
		run, known = commands[os.Args[1]]
		os.Args = os.Args[1:]
	}
	if !known {
		fmt.Fprintln(os.Stderr, "usage: controlplane etcd|kube-apiserver|kube-controller-manager|kube-proxy|kube-scheduler|kubectl [flags]")
		os.Exit(2)
	}
	if os.Getenv(endsWithStdin) != "" {
		go exitWithStdin()
	}
	run()
}

// exitWithStdin ends the process when its standard input closes, so that no server outlives a test run that is killed.
func exitWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Fprintln(os.Stderr, "the standard input is closed: whoever started this server is gone")
	os.Exit(1)
}

func runKubectl() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}

func runEtcd() {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	config := flags.String("config-file", "", "etcd's configuration, in YAML")
	_ = flags.Parse(os.Args[1:]) // ExitOnError: it does not return one
	if err := serveEtcd(*config); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

func serveEtcd(config string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cfg, err := embed.ConfigFromFile(config)
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return err
	case <-server.Server.StopNotify():
		return errors.New("the server stopped by itself")
	}
}
