/** `tlsboot approver clear`. */
import { argument, defineCommand } from "../framework/command.ts";
import { API_FLAGS } from "./common_flags.ts";

const flags = { ...API_FLAGS } as const;

/** Its flags, for the action. */
export type ApproverClearFlags = typeof flags;

/** Deletes what a requester has pending. */
export const approverClearCommand = defineCommand({
  path: ["approver", "clear"],
  summary: "Delete the pending requests of a requester",
  description: `Delete the pending requests of a requester.

 An approver stops looking at a requester of whom a hundred requests stay pending, and says so in its log and in an
 Event. This deletes all of its undecided requests, so that it is looked at again. Decided ones stay.`,
  group: "Role Commands",
  args: [argument("REQUESTER", "The user name in the requests, such as system:node:n1")],
  flags,
  examples: [{ comment: "Let a node ask again", command: "tlsboot approver clear system:node:n1" }],
  exitCodes: {},
  load: () => import("../actions/approver_clear.ts"),
});
