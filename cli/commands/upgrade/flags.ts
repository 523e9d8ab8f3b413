/** The command `tlsboot upgrade`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, switchFlag } from "../../framework/flags.ts";

export const upgradeCommand = defineCommand({
  path: ["upgrade"],
  summary: "Upgrade this file from a release in a folder, such as a stick",
  description: `Upgrade this file from a release in a folder, such as a stick.

 It checks the signature of the release and the hash of the file for this machine, copies the file next to the installed one and starts it for a test. Only then does it replace the installed file, in one step, and restart the systemd services that run it. When one of them does not start, or ends within ten seconds, the earlier file is put back and the services are restarted with it.

 The earlier file stays next to the new one, as tlsboot.previous. A file in /usr/bin belongs to a package, which apt or rpm upgrades.`,
  group: "Program Commands",
  args: [
    argument("FOLDER", "Folder with SHA256SUMS, SHA256SUMS.minisig and the files of a release", { kind: "directory" }),
  ],
  flags: {
    releaseKey: fileFlag({
      summary: "Public key of minisign that the release must be signed with. Without it, the key that is in this file.",
    }),
    dryRun: switchFlag({
      summary: "Check the release and print what would be done.",
    }),
    oneWay: switchFlag({
      summary:
        "Also upgrade to a release that writes data which this file cannot read. After that, you need a backup to go back.",
    }),
  },
  examples: {
    "See what an upgrade would do": "tlsboot upgrade /media/stick --dry-run",
    "Upgrade, and go back if it does not work": "sudo tlsboot upgrade /media/stick",
    "Upgrade to a file that you built and signed yourself":
      "sudo tlsboot upgrade /media/stick --release-key minisign.pub",
  },
  exitCodes: { 1: "failed, and the earlier file is in place", 3: "the release was refused, nothing was changed" },
});
