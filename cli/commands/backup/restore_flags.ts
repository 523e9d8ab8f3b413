/** The command `tlsboot restore`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { switchFlag } from "../../framework/flags.ts";
import { OPENING_FLAGS } from "./flags.ts";
import { DATA_DIR_FLAG } from "../../flags/common.ts";
import { etcdFlags } from "../../flags/etcd.ts";

const flags = {
  dataDir: DATA_DIR_FLAG,
  ...OPENING_FLAGS,
  ...etcdFlags("Restore the objects into this etcd instead of a database in --data-dir; URLs of its members."),
  force: switchFlag({ summary: "Move an existing --data-dir aside: it is renamed, not removed." }),
  forceEtcd: switchFlag({
    isCommandLineOnly: true,
    summary: "Move existing keys below --etcd-prefix in etcd aside: they are renamed, not removed.",
  }),
} as const;

/** The flags of `restore`, for the action. */
export type RestoreFlags = typeof flags;

/** The command that restores a data directory from a backup. */
export const restoreCommand = defineCommand({
  path: ["restore"],
  summary: "Restore a data directory from a backup",
  description:
    `Restore --data-dir from a backup. The new folder is built beside its place and checked; until then nothing in the old
 one changes. No server may be running on it.

 Resource versions continue far beyond those of the backup, so that no number has two meanings: clients that watch have
 to list again, and do.

 With --etcd-servers the objects go into an etcd, whichever store the backup was made from, and resource versions are
 etcd's; without it, they go into a database. There must be no keys below --etcd-prefix: --force does not change that,
 but --force-etcd moves them aside. Until everything is written no tlsboot server starts on the etcd; after an
 interruption the same command continues.`,
  group: "Key and File Commands",
  args: [argument("FILE", "file that tlsboot backup wrote", { completion: { kind: "file" } })],
  flags,
  examples: [
    { comment: "Restore on a new machine", command: "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot" },
    {
      comment: "Go back to a backup that is encrypted for a key",
      command: "tlsboot restore tlsboot.backup --identity key.txt --force",
    },
    {
      comment: "Move an instance into etcd",
      command:
        "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot --force --etcd-servers https://etcd-0:2379 " +
        "--etcd-cafile etcd-ca.crt --etcd-certfile client.crt --etcd-keyfile client.key",
    },
    {
      comment: "Restore an instance on etcd from its backup",
      command: "tlsboot restore tlsboot.backup --force --force-etcd --etcd-servers http://127.0.0.1:2379",
    },
  ],
  exitCodes: {},
  load: () => import("./restore.ts"),
});
