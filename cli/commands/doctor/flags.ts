/** The command `tlsboot doctor`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag, fileFlag, listFlag, switchFlag } from "../../framework/flags.ts";
import { excludes, needs } from "../../framework/rules.ts";
import { NOTIFY_FLAGS, NOTIFY_RULES } from "../../flags/controller.ts";

export const doctorCommand = defineCommand({
  path: ["doctor"],
  summary: "Find out what is wrong, and how to fix it",
  description:
    `Find out what is wrong with a machine, a data directory, a folder of CAs or a kubeconfig, and how to fix it.

 Nothing is changed. Each problem is printed with the command that fixes it, which you can run unchanged in the same
 folder.

 A TARGET for a machine is its folder, such as n1, the folder of its certificates, such as n1/pki or
 /var/lib/kubelet/pki, its kubeconfig, or its name if its folder is in tlsboot-data/nodes. For a kubeconfig, the command
 also asks the server whether it accepts the certificate in it; a server that does not answer is a warning.

 With --notify or --notify-file a test message is sent, and without a TARGET nothing else is checked.

 Without a TARGET, ./tlsboot-data and the kubelet of this machine are checked.`,
  group: "Machine Commands",
  args: [
    argument("[TARGET...]", "Machines, folders of certificates, data directories, kubeconfigs and PEM files", {
      kind: "file",
    }),
  ],
  flags: {
    kubeconfig: fileFlag({
      isCommandLineOnly: true,
      summary:
        "Kubeconfig of the machine whose folder of certificates is checked. Without it, the one that refers to a " +
        "certificate in the folder and is next to the folder, in it or in /etc/kubernetes, or else kubeconfig next to the " +
        "folder.",
    }),
    bootstrapKubeconfig: fileFlag({
      summary:
        "Kubeconfig with the credentials of a first request, for the commands that are printed. Without it, one " +
        "that is next to the machine's kubeconfig.",
    }),
    cluster: switchFlag({
      summary:
        "Check the cluster of --kubeconfig through its API instead: its requests, tokens, cluster-info and CAs, and " +
        "who can create, approve and sign requests, for which signers and by which binding, and so can become a " +
        "node or an administrator.",
    }),
    backup: listFlag({
      placeholder: "FILE",
      completion: { kind: "file" },
      summary:
        "Backups of the data directory. The newest must be at most a week old. Without it, files next to the data " +
        "directory with names such as tlsboot.backup.",
    }),
    output: choiceFlag({
      short: "o",
      choices: ["table", "json", "textfile"],
      default: "table",
      summary: "Output format: a table, JSON, or a textfile for Prometheus's node exporter.",
    }),
    out: fileFlag({
      summary: "File for the output, which is replaced atomically. Without it, stdout.",
    }),
    ...NOTIFY_FLAGS,
    strict: switchFlag({ summary: "Exit with 3 when there are warnings." }),
  },
  examples: {
    "Check the server in ./tlsboot-data, or this machine": "tlsboot doctor",
    "Check a machine of tlsboot bootstrap": "tlsboot doctor n1",
    "See who can approve and sign in a cluster": "tlsboot doctor --cluster --kubeconfig admin.kubeconfig",
    "Send a test message to the receiver of notifications": "tlsboot doctor --notify-file notify.url",
    "Check the CAs that kubeadm made": "tlsboot doctor /etc/kubernetes/pki",
    "Export the end of every certificate to Prometheus":
      "tlsboot doctor -o textfile --out /var/lib/prometheus/node-exporter/tlsboot.prom",
  },
  rules: [excludes("cluster", "TARGET"), needs("cluster", "kubeconfig"), ...NOTIFY_RULES],
  exitCodes: {
    0: "nothing is wrong",
    1: "something is wrong, or a target could not be read",
    3: "with --strict: there are warnings",
  },
});
