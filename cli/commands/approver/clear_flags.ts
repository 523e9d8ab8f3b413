/** The command `tlsboot approver clear`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { API_FLAGS } from "../../flags/common.ts";

const flags = { ...API_FLAGS } as const;

/** The flags of `approver clear`, for the action. */
export type ApproverClearFlags = typeof flags;

/** The command that deletes the pending requests of a requester. */
export const approverClearCommand = defineCommand({
  path: ["approver", "clear"],
  summary: "Delete the pending requests of a requester",
  description: `Delete the pending requests of a requester.

 An approver ignores a requester after a hundred of its requests stayed pending, and reports that in its log and in an
 Event. This command deletes all pending requests of the requester, so that the approver handles new ones again. Decided
 requests are kept.`,
  group: "Role Commands",
  args: [argument("REQUESTER", "The user name in the requests, such as system:node:n1")],
  flags,
  examples: [{ comment: "Let a node send requests again", command: "tlsboot approver clear system:node:n1" }],
  exitCodes: {},
  load: () => import("./clear.ts"),
});
