/** The command `tlsboot demo`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { directoryFlag, integerFlag, switchFlag } from "../../framework/flags.ts";

export const demoCommand = defineCommand({
  path: ["demo"],
  summary: "Show TLS bootstrapping from beginning to end",
  description: `Show TLS bootstrapping from beginning to end, in one process and one folder.

 Makes a CA, starts the API server, signer and approver, and bootstraps machines that have only a token. Then a request
 is refused, a certificate is renewed, another expires and its machine recovers, and the files of a machine are stolen
 and its credentials revoked. Everything is real. The files are kept, so you can look at them and run the commands that
 are shown: kubectl's if it is on the PATH, tlsboot's otherwise.`,
  group: "Running Commands",
  flags: {
    nodes: integerFlag({ default: 3, min: 1, max: 1000, summary: "Number of machines that bootstrap." }),
    dataDir: directoryFlag({
      default: "./tlsboot-demo",
      summary: "Folder for all files. It must be new or empty, or contain an earlier demo, which is replaced.",
    }),
    explain: switchFlag({
      summary: "Print what happens at each step, why, and what would go wrong without it.",
    }),
    ui: switchFlag({
      summary: "Also show the story as a picture in the browser. Prints a link; the story begins when you open it.",
    }),
    keep: switchFlag({ summary: "Keep the server running at the end, until interrupted." }),
    step: switchFlag({
      summary: "For teaching: wait before each step for Enter, or with --ui for a button.",
    }),
  },
  examples: {
    "Three machines, a few seconds": "tlsboot demo",
    "As a picture in the browser that grows with each step": "tlsboot demo --ui",
    "In front of a class: step by step, with explanations, and a server that keeps running":
      "tlsboot demo --explain --step --keep",
  },
  exitCodes: { 0: "the demo is complete; with --keep or --ui, stopped by SIGINT or SIGTERM" },
});
