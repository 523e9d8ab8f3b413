/** The command `tlsboot upgrade`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, switchFlag } from "../../framework/flags.ts";

export const upgradeCommand = defineCommand({
  path: ["upgrade"],
  summary: "Upgrade this file from a release in a folder, such as a stick",
  description: `Upgrade this file from a release in a folder, such as a stick.

 Checks the signature of the release and the hash of the file for this machine, copies the file next to the installed
 one, and starts it for a test. Then it replaces the installed file atomically and restarts the systemd services that
 run it. If one of them does not start, or ends within ten seconds, the previous file is restored and the services are
 restarted with it.

 The previous file stays next to the new one, as tlsboot.previous. A file in /usr/bin belongs to a package: upgrade it
 with apt or rpm.`,
  group: "Program Commands",
  args: [
    argument("FOLDER", "Folder with SHA256SUMS, SHA256SUMS.minisig and the files of a release", { kind: "directory" }),
  ],
  flags: {
    releaseKey: fileFlag({
      summary: "Minisign public key of the release. Without it, the key that this file contains.",
    }),
    dryRun: switchFlag({
      summary: "Check the release and print what the upgrade would do.",
    }),
    oneWay: switchFlag({
      summary:
        "Also upgrade to a release that writes data in a format that this file cannot read. To go back, you need a " +
        "backup.",
    }),
  },
  examples: {
    "See what an upgrade would do": "tlsboot upgrade /media/stick --dry-run",
    "Upgrade, and go back if it does not work": "sudo tlsboot upgrade /media/stick",
    "Upgrade to a file that you built and signed yourself":
      "sudo tlsboot upgrade /media/stick --release-key minisign.pub",
  },
  exitCodes: { 1: "failed, and the previous file is in place", 3: "the release was refused, and nothing was changed" },
});
