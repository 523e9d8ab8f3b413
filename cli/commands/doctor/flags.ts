/** The command `tlsboot doctor`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag, fileFlag, switchFlag } from "../../framework/flags.ts";

const DOCTOR_FLAGS = {
  output: choiceFlag({
    short: "o",
    choices: ["table", "json", "tap", "textfile"],
    default: "table",
    summary: "Output format: a table, JSON, the Test Anything Protocol, or a textfile of Prometheus' node exporter.",
  }),
  out: fileFlag({
    isCommandLineOnly: true,
    summary: "File for the output, which is replaced at once. Without it, stdout.",
  }),
  strict: switchFlag({ summary: "Exit with 3 when there are warnings." }),
} as const;

/** The type of the flags of `doctor`. */
export type DoctorFlags = typeof DOCTOR_FLAGS;

/** The command that checks what a data directory, a folder of certificates or a kubeconfig holds. */
export const doctorCommand = defineCommand({
  path: ["doctor"],
  summary: "Find out what is wrong, and how to fix it",
  description:
    `Find out what is wrong with a data directory, a folder of certificates or a kubeconfig, and how to fix it.

 Nothing is changed. Each problem is printed with the command that fixes it, which can be run unchanged.

 Without a TARGET, ./tlsboot-data is checked.`,
  group: "Key and File Commands",
  args: [
    argument("TARGET", "folders of certificates, data directories, kubeconfigs and PEM files", {
      optional: true,
      variadic: true,
      completion: { kind: "file" },
    }),
  ],
  flags: DOCTOR_FLAGS,
  examples: [
    { comment: "Check the server in ./tlsboot-data", command: "tlsboot doctor" },
    { comment: "Check the CAs that kubeadm made", command: "tlsboot doctor /etc/kubernetes/pki" },
    {
      comment: "Give the end of every certificate to Prometheus",
      command: "tlsboot doctor -o textfile --out /var/lib/prometheus/node-exporter/tlsboot.prom",
    },
  ],
  exitCodes: {
    0: "nothing is wrong",
    1: "something is wrong, or a target could not be read",
    3: "with --strict: there are warnings",
  },
});
