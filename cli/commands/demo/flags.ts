/** The command `tlsboot demo`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { directoryFlag, integerFlag, switchFlag } from "../../framework/flags.ts";

export const demoCommand = defineCommand({
  path: ["demo"],
  summary: "Show TLS bootstrapping from beginning to end",
  description: `Show TLS bootstrapping from beginning to end, in one process and one folder.

 Makes a CA, starts the API server, signer and approver, and bootstraps machines that have only a token. Then a request is
 refused, a certificate renewed, another one expires and is recovered, and the files of a machine are stolen and revoked.
 Everything is real; the files are kept, so that you can look at them and run the commands that are shown. Those are
 kubectl's where it is on the PATH, else tlsboot's own.`,
  group: "Running Commands",
  flags: {
    nodes: integerFlag({ default: 3, min: 1, max: 1000, summary: "How many machines bootstrap." }),
    dataDir: directoryFlag({
      default: "./tlsboot-demo",
      summary:
        "Folder for everything; it may be empty, or contain an earlier demo, which is replaced. Any other folder is refused.",
    }),
    explain: switchFlag({
      summary: "Print for each step what happens, why, and what would go wrong without it.",
    }),
    ui: switchFlag({
      summary: "Show the story as a picture in the browser too. Prints a link; the story begins when it is opened.",
    }),
    keep: switchFlag({ summary: "Keep serving at the end, until interrupted." }),
    step: switchFlag({
      summary: "Wait before each step, for teaching: for Enter, or with --ui for a button.",
    }),
  },
  examples: {
    "Three machines, a few seconds": "tlsboot demo",
    "As a picture in the browser, which fills while it happens": "tlsboot demo --ui",
    "Step by step and with reasons in front of a class, and keep serving": "tlsboot demo --explain --step --keep",
  },
  exitCodes: { 0: "the demo is complete; with --keep or --ui, stopped by SIGINT or SIGTERM" },
});
