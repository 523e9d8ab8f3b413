/** An approver over memory stores, with the evidence that a test gives it. */
import { type Approver, type ApproverDeps, createApprover } from "../../controllers/approver/approver.ts";
import type { PolicySettings } from "../../core/approval/decide_from_sources.ts";
import { createFakeClock } from "./fake_clock.ts";
import { createMemoryLogger } from "./memory_logger.ts";

/** The dependencies that a test gives; `events` collects the texts of Events. */
type TestApproverOptions =
  & Partial<Omit<ApproverDeps, "sources" | "events">>
  & Pick<ApproverDeps, "store">
  & Partial<PolicySettings>
  & { readonly sources?: Partial<ApproverDeps["sources"]>; readonly events?: string[] };

/** Creates the approver. By default no permission is granted. */
export function createTestApprover(
  { sources = {}, policies = [], inventory, events = [], ...deps }: TestApproverOptions,
): Approver {
  return createApprover({
    settings: { current: () => ({ policies, inventory }) },
    events: {
      record: (_csr, { type, reason, note }) => Promise.resolve(void events.push(`${type} ${reason}: ${note}`)),
    },
    logger: createMemoryLogger(),
    onDecided: () => {},
    ...deps,
    sources: {
      clock: createFakeClock(),
      reviewer: { isAllowed: () => Promise.resolve(false) },
      listApproved: () => [],
      reported: () => ({ kind: "none" }),
      certificates: () => ({ kind: "none" }),
      serverNames: () => Promise.resolve({ dns: [], ips: [] }),
      ...sources,
    },
  });
}
