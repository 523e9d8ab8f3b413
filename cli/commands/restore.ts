/** `tlsboot restore`. */
import { argument, defineCommand } from "../framework/command.ts";
import { switchFlag } from "../framework/flags.ts";
import { OPENING_FLAGS } from "./backup.ts";
import { DATA_DIR_FLAG } from "./common_flags.ts";
import { etcdFlags } from "./etcd_flags.ts";

const flags = {
  dataDir: DATA_DIR_FLAG,
  ...OPENING_FLAGS,
  ...etcdFlags("Restore the objects into this etcd instead of a database in --data-dir; URLs of its members."),
  force: switchFlag({ summary: "Put what is in --data-dir aside: it is renamed, not removed." }),
  forceEtcd: switchFlag({
    isCommandLineOnly: true,
    summary: "Put what is below --etcd-prefix in etcd aside: it is renamed, not removed.",
  }),
} as const;

/** Its flags, for the action. */
export type RestoreFlags = typeof flags;

/** Makes a data directory of a backup. */
export const restoreCommand = defineCommand({
  path: ["restore"],
  summary: "Make a data directory of a backup",
  description:
    `Make --data-dir of a backup. It is built beside its place and checked; until then nothing there changes. No server may
 be running there.

 Resource versions go on far beyond those of the backup, so that no number means two things: clients that watch are told
 to list again, and do.

 With --etcd-servers the objects go into an etcd, whichever store the backup was made of, and resource versions are
 etcd's; without, they go into a database. Nothing may be below --etcd-prefix, whatever --force says of the folder:
 --force-etcd puts aside what is. Until everything is there no tlsboot server starts on it; when it is interrupted, the
 same command goes on.`,
  group: "Key and File Commands",
  args: [argument("FILE", "file that tlsboot backup wrote", { completion: { kind: "file" } })],
  flags,
  examples: [
    { comment: "Restore on a new machine", command: "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot" },
    {
      comment: "Go back to a backup that is for a key",
      command: "tlsboot restore tlsboot.backup --identity key.txt --force",
    },
    {
      comment: "Move an instance into etcd",
      command:
        "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot --force --etcd-servers https://etcd-0:2379 " +
        "--etcd-cafile etcd-ca.crt --etcd-certfile client.crt --etcd-keyfile client.key",
    },
    {
      comment: "Take an instance in etcd back to a backup of it",
      command: "tlsboot restore tlsboot.backup --force --force-etcd --etcd-servers http://127.0.0.1:2379",
    },
  ],
  exitCodes: {},
  load: () => import("../actions/restore.ts"),
});
