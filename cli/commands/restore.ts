/** `tlsboot restore`. */
import { argument, defineCommand } from "../framework/command.ts";
import { switchFlag } from "../framework/flags.ts";
import { OPENING_FLAGS } from "./backup.ts";
import { DATA_DIR_FLAG } from "./common_flags.ts";

const flags = {
  dataDir: DATA_DIR_FLAG,
  ...OPENING_FLAGS,
  force: switchFlag({ summary: "Put what is in --data-dir aside: it is renamed, not removed." }),
} as const;

/** Its flags, for the action. */
export type RestoreFlags = typeof flags;

/** Makes a data directory of a backup. */
export const restore = defineCommand({
  path: ["restore"],
  summary: "Make a data directory of a backup",
  description:
    `Make --data-dir of a backup. It is built beside its place and checked; until then nothing there changes. No server may
 be running there.

 Resource versions go on far beyond those of the backup, so that no number means two things: clients that watch are told
 to list again, and do.`,
  group: "Key and File Commands",
  args: [argument("FILE", "file that tlsboot backup wrote", { completion: { kind: "file" } })],
  flags,
  examples: [
    { comment: "Restore on a new machine", command: "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot" },
    {
      comment: "Go back to a backup that is for a key",
      command: "tlsboot restore tlsboot.backup --identity key.txt --force",
    },
  ],
  exitCodes: {},
  load: () => import("../actions/restore.ts"),
});
