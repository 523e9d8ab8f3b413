/** `tlsboot approver test`. */
import { argument, defineCommand } from "../framework/command.ts";
import { choiceFlag } from "../framework/flags.ts";

const flags = {
  output: choiceFlag({
    short: "o",
    choices: ["tap", "junit"],
    summary: "Output format: the Test Anything Protocol, or JUnit XML. Words for people without it.",
  }),
} as const;

/** Its flags, for the action. */
export type ApproverFixturesFlags = typeof flags;

/** Tests policies against fixtures. */
export const approverTestCommand = defineCommand({
  path: ["approver", "test"],
  summary: "Test policies against fixtures",
  description: `Test policies against fixtures.

 Reads every file of kind PolicyTest below the folder: requests with their requesters and nodes, and the verdict and rule
 that each is expected to get. Needs no API. A case that fails is shown with every rule, what it saw and why.`,
  group: "Role Commands",
  args: [argument("DIR", "Folder with fixtures, or one file", { completion: { kind: "directory" } })],
  flags,
  examples: [
    { comment: "Test the policies of an instance", command: "tlsboot approver test policies/" },
    { comment: "Do so in CI", command: "tlsboot approver test policies/ -o junit >policies.xml" },
  ],
  exitCodes: { 0: "every case passed", 1: "a case failed", 2: "a fixture, policy or inventory is wrong" },
  load: () => import("../actions/approver_fixtures.ts"),
});
