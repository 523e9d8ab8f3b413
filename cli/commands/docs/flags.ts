/** The commands `tlsboot guide`, `man` and `mixin`: flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";

export const manCommand = defineCommand({
  path: ["man"],
  summary: "Print a manual page, or write them all into a folder",
  description: `Print the manual page of tlsboot or of one of its commands, or write all pages into a folder.

 The argument is a command, or a folder: an existing one, or a path with a slash in it, which is created. Existing pages
 are replaced.`,
  group: "Program Commands",
  args: [argument("[DIR|COMMAND...]", "A folder, or the words of a command", { kind: "directory" })],
  flags: {},
  examples: {
    "Read about a command": "tlsboot man token create | man -l -",
    "Install the pages": "tlsboot man /usr/local/share/man/man1",
  },
});

/** The built-in guides of `docs/guides`, in the groups and the order of `docs/README.md`. A test compares them. */
export const GUIDE_GROUPS = {
  "First steps": ["tutorial"],
  Machines: [
    "homelab",
    "only_my_machines",
    "join_by_proof",
    "kubeadm",
    "expired_machine",
    "broken_machine",
    "stolen_machine",
    "leaked_token",
    "class",
  ],
  "People and services": [
    "person",
    "browser",
    "who_has_what",
    "web_server",
    "custom_signer",
    "trust_bundles",
    "library",
  ],
  "Without a network, and for a cluster": [
    "air_gap",
    "requests_by_mail",
    "existing_cluster",
    "in_a_cluster",
    "pod_certificates",
  ],
  "The CA": ["ca", "ca_on_paper", "new_ca", "leaked_ca_key", "post_quantum"],
  Operation: ["install", "containers", "backup", "monitoring", "notifications", "etcd"],
} as const;

export const guideCommand = defineCommand({
  path: ["guide"],
  summary: "Print a guide, or list the guides",
  description: `Print a guide. Without a name, list the guides; with any other word, list those that contain it.

 A guide leads you through one task, command by command. All guides are in this file, so they need no network.`,
  group: "Program Commands",
  args: [
    argument("[NAME]", "The name of a guide, such as homelab, or a word to search for", {
      kind: "choices",
      choices: Object.values(GUIDE_GROUPS).flat().sort(),
    }),
  ],
  flags: {},
  examples: {
    "List the guides": "tlsboot guide",
    "Read one": "tlsboot guide homelab | less",
  },
});

/** The names of the files in `packaging/mixin`, which are the arguments of `mixin`. */
export const MIXIN_NAMES = [
  "alerts.libsonnet",
  "config.libsonnet",
  "dashboard.libsonnet",
  "mixin.libsonnet",
  "tlsboot.dashboard.json",
  "tlsboot.rules.yaml",
] as const;

export const mixinCommand = defineCommand({
  path: ["mixin"],
  summary: "Print alerts for Prometheus, a dashboard for Grafana, or their sources",
  description: `Print alerts for Prometheus, a dashboard for Grafana, or their sources. Without a name, list the files.

 tlsboot.rules.yaml and tlsboot.dashboard.json are ready to use. They are rendered from the other files, a monitoring
 mixin in Jsonnet, which you can combine with other mixins. tlsboot guide monitoring says what to do about each alert.`,
  group: "Program Commands",
  args: [
    argument("[NAME]", "The name of a file, such as tlsboot.rules.yaml", { kind: "choices", choices: MIXIN_NAMES }),
  ],
  flags: {},
  examples: {
    "Install the alerts": "tlsboot mixin tlsboot.rules.yaml > /etc/prometheus/tlsboot.rules.yaml",
    "Save the dashboard, to import it into Grafana": "tlsboot mixin tlsboot.dashboard.json > tlsboot.json",
  },
});
