/** The command `tlsboot approver test`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag } from "../../framework/flags.ts";

const flags = {
  output: choiceFlag({
    short: "o",
    choices: ["tap", "junit"],
    summary: "Output format: the Test Anything Protocol, or JUnit XML. Without it, text.",
  }),
} as const;

/** The flags of `approver test`, for the action. */
export type ApproverFixturesFlags = typeof flags;

/** The command that tests policies against fixtures. */
export const approverTestCommand = defineCommand({
  path: ["approver", "test"],
  summary: "Test policies against fixtures",
  description: `Test policies against fixtures.

 Reads every file of kind PolicyTest below the folder: requests with their requesters and nodes, and the verdict and rule
 that is expected for each. Needs no API. A case that fails is shown with every rule, what it found and why.`,
  group: "Role Commands",
  args: [argument("DIR", "Folder with fixtures, or one file", { completion: { kind: "directory" } })],
  flags,
  examples: [
    { comment: "Test all policies in a folder", command: "tlsboot approver test policies/" },
    { comment: "Do so in CI", command: "tlsboot approver test policies/ -o junit >policies.xml" },
  ],
  exitCodes: { 0: "every case passed", 1: "a case failed", 2: "a fixture, policy or inventory is wrong" },
  load: () => import("./fixtures.ts"),
});
