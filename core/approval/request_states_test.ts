import assert from "node:assert/strict";
import { test } from "node:test";
import type { Verdict } from "./decide_request.ts";
import { type ApprovalStep, planApprovalStep, type RequestState, RequestStates } from "./request_states.ts";
import type { Check, CheckKind } from "./rules/checks.ts";

const ABOUT = { stage: "policies", policy: "p", rule: "r", trace: [] } as const;
const APPROVE: Verdict = { ...ABOUT, kind: "approve", reason: "PolicyApproved:p/r", message: "proven" };
const DENY: Verdict = { ...ABOUT, kind: "deny", reason: "PolicyDenied", message: "stolen" };
const UNKNOWN: Verdict = { ...ABOUT, kind: "unknown", message: "no answer" };
const UNMATCHED: Verdict = { ...ABOUT, kind: "pending", policy: undefined, rule: undefined, message: "none" };

function undecided(message: string, ...failing: readonly CheckKind[]): Verdict {
  const checks: Check[] = [
    ...(["subject", "hours", "permission"] as const).map((what): Check => ({ what, saw: "CN=a", outcome: "holds" })),
    ...failing.map((what): Check => ({ what, saw: "", outcome: "fails", fault: "no" })),
  ];
  const trace = [{ policy: "p", rule: "r", mismatch: undefined, checks, outcome: "pending" as const }];
  return { ...ABOUT, kind: "pending", trace, message };
}

function pending(reported: string, refusals = 0): RequestState {
  return { kind: "pending", reported, refusals };
}

const HELD: Verdict = {
  ...ABOUT,
  stage: "hold",
  kind: "pending",
  message: "why",
  hold: { kind: "NameClaimed", saw: "", fault: "it is taken", fix: "wait", names: ["x"] },
};

function held(names: readonly string[], address: string | undefined) {
  return { kind: "held", reported: "", names, address, checks: 0 } as const;
}

/** Writes a step in one line: what is written, or the next state and the next check, and what is reported. */
function format(step: ApprovalStep): string {
  if (step.kind === "retry") return `retry: ${step.message}`;
  const { log: text = "silent", isWarning = false, event } = step.report ?? {};
  const log = isWarning ? `warning: ${text}` : text;
  const report = event === undefined ? log : `${log} / ${event.type} ${event.reason}: ${event.note}`;
  if (step.kind === "decide") return `${step.decision.kind}; ${report}`;
  const { state, recheck } = step;
  const known = state.kind === "pending" ? `pending(${state.refusals})` : state.kind;
  const next = recheck.kind === "after"
    ? `${recheck.ms} ms`
    : recheck.kind === "backoff"
    ? `backoff ${recheck.checks}`
    : "";
  return `${known}${next === "" ? "" : `, ${next}`}; ${report}`;
}

const EXPLAIN = "To see why: tlsboot policy explain 'csr 1'";
const LEFT = (message: string) => `CSR left pending / Normal PolicyLeftPending: Left pending: ${message}. ${EXPLAIN}`;
const DRY = "Dry run, nothing was written.";

for (
  const { name, state, verdict, isDryRun = false, want } of [
    { name: "an approval", verdict: APPROVE, want: "approve; CSR approved / Normal PolicyApproved: proven" },
    {
      name: "an approval of a pending request",
      state: pending("old"),
      verdict: APPROVE,
      want: "approve; CSR approved / Normal PolicyApproved: proven",
    },
    { name: "a denial", verdict: DENY, want: "deny; CSR denied / Warning PolicyDenied: stolen" },
    { name: "an approval by a token", verdict: { ...APPROVE, stage: "token" }, want: "approve; CSR approved" },
    { name: "the denial of what is revoked", verdict: { ...DENY, stage: "revocation" }, want: "deny; CSR denied" },
    {
      name: "an approval of a kubelet client",
      verdict: { ...APPROVE, stage: "kubelet client" },
      want: "approve; CSR approved",
    },
    { name: "too many pending requests", verdict: { ...UNMATCHED, isWaiting: true }, want: "waiting; silent" },
    {
      name: "too many pending requests, and a refused permission of the kubelet client rules",
      state: { kind: "waiting", refusals: 2 },
      verdict: { ...undecided("why", "permission"), rule: undefined, kind: "pending", isWaiting: true },
      want: "waiting, backoff 2; silent",
    },
    {
      name: "the denial of a token",
      verdict: { ...DENY, stage: "token" },
      want: "deny; warning: CSR denied",
    },
    {
      name: "a denial because too many requests are held",
      verdict: { ...DENY, stage: "hold" },
      want: "deny; CSR denied",
    },
    {
      name: "a name that a policy holds",
      verdict: { ...HELD, stage: "policies" },
      want: `held, backoff 0; ${LEFT("why")}`,
    },
    {
      name: "a refused permission that no policy requires",
      state: { kind: "unmatched", refusals: 2 },
      verdict: { ...undecided("why", "permission"), rule: undefined, kind: "pending" },
      want: "unmatched, backoff 2; silent",
    },
    {
      name: "a name of another machine",
      verdict: HELD,
      want: `held, backoff 0; warning: CSR held for a person / Warning NameClaimed: Left pending: it is taken. Wait`,
    },
    {
      name: "the same claimed name again",
      state: { ...held([], undefined), checks: 3, reported: "why" },
      verdict: HELD,
      want: "held, backoff 3; silent",
    },
    { name: "a missing fact", state: pending("old"), verdict: UNKNOWN, want: "retry: no answer" },
    { name: "a missing fact in a dry run", verdict: UNKNOWN, isDryRun: true, want: "retry: no answer" },
    { name: "no matching rule", verdict: UNMATCHED, want: "unmatched; silent" },
    { name: "no matching rule any more", state: pending("old"), verdict: UNMATCHED, want: "unmatched; silent" },
    { name: "no decision", verdict: undecided("why", "names"), want: `pending(0); ${LEFT("why")}` },
    {
      name: "no decision after it matched no rule",
      state: { kind: "unmatched", refusals: 0 },
      verdict: undecided("why", "names"),
      want: `pending(0); ${LEFT("why")}`,
    },
    {
      name: "no decision for the same reason",
      state: pending("why"),
      verdict: undecided("why", "names"),
      want: "pending(0); silent",
    },
    {
      name: "no decision for another reason",
      state: pending("old"),
      verdict: undecided("why", "names"),
      want: `pending(0); ${LEFT("why")}`,
    },
    {
      name: "the wrong hour",
      state: pending("why"),
      verdict: undecided("why", "hours"),
      want: "pending(0), 60000 ms; silent",
    },
    {
      name: "too many approvals",
      state: pending("why", 3),
      verdict: undecided("why", "rate"),
      want: "pending(3), 60000 ms; silent",
    },
    {
      name: "a refused permission",
      verdict: undecided("why", "permission"),
      want: `pending(1), backoff 0; ${LEFT("why")}`,
    },
    {
      name: "a permission refused again, whatever else fails",
      state: pending("why", 4),
      verdict: undecided("why", "hours", "permission"),
      want: "pending(5), backoff 4; silent",
    },
    {
      name: "the wrong hour among other faults",
      state: pending("why"),
      verdict: undecided("why", "names", "hours"),
      want: "pending(0), 60000 ms; silent",
    },
    {
      name: "a name that is held for another reason",
      state: { ...held([], undefined), checks: 1, reported: "old" },
      verdict: HELD,
      want: "held, backoff 1; warning: CSR held for a person / Warning NameClaimed: Left pending: it is taken. Wait",
    },
    {
      name: "an approval in a dry run",
      state: pending("old"),
      verdict: APPROVE,
      isDryRun: true,
      want: `simulated; CSR would be approved / Normal WouldApprove: ${DRY} proven`,
    },
    {
      name: "a denial in a dry run",
      verdict: DENY,
      isDryRun: true,
      want: `simulated; CSR would be denied / Normal WouldDeny: ${DRY} stolen`,
    },
    {
      name: "the same approval in a dry run",
      state: { kind: "simulated", reported: "proven" },
      verdict: APPROVE,
      isDryRun: true,
      want: "simulated; silent",
    },
    {
      name: "a denial after an approval in a dry run",
      state: { kind: "simulated", reported: "proven" },
      verdict: DENY,
      isDryRun: true,
      want: `simulated; CSR would be denied / Normal WouldDeny: ${DRY} stolen`,
    },
    {
      name: "no decision in a dry run",
      state: { kind: "simulated", reported: "why" },
      verdict: undecided("why", "names"),
      isDryRun: true,
      want: `pending(0); ${LEFT("why")}`,
    },
  ] as readonly {
    readonly name: string;
    readonly state?: RequestState;
    readonly verdict: Verdict;
    readonly isDryRun?: boolean;
    readonly want: string;
  }[]
) {
  test(`planApprovalStep() after ${name}: ${want.slice(0, 40)}`, () => {
    assert.equal(format(planApprovalStep({ name: "csr 1", state, address: undefined }, verdict, isDryRun)), want);
  });
}

test("RequestStates admits up to its limit for each requester, and marks the first that waits", () => {
  const requests = new RequestStates(2);
  for (const name of ["a1", "a2"]) {
    assert.deepEqual(requests.admit(name, "a"), { kind: "check" });
    requests.set(name, "a", pending("why"));
  }
  assert.deepEqual(requests.admit("a3", "a"), { kind: "wait", isFirst: true });
  assert.deepEqual(requests.admit("a4", "a"), { kind: "wait", isFirst: false });
  assert.deepEqual(requests.admit("a1", "a"), { kind: "check" });
  assert.deepEqual(requests.admit("b1", "b"), { kind: "check" });
  assert.deepEqual(requests.list("pending"), ["a1", "a2"]);
  assert.deepEqual(requests.listPending("a"), ["a1", "a2"]);
  assert.deepEqual(requests.listPending("b"), []);
});

test("RequestStates releases as many waiting requests as there is room for", () => {
  const requests = new RequestStates(2);
  for (const name of ["a1", "a2"]) assert.deepEqual(requests.set(name, "a", pending("why")), []);
  for (const name of ["a3", "a4", "a5"]) requests.admit(name, "a");
  assert.deepEqual(requests.forget("a4"), []);
  assert.deepEqual(requests.forget("a1"), ["a3"]);
  assert.equal(requests.get("a1"), undefined);
  assert.deepEqual(requests.get("a3"), { kind: "released" });
  assert.deepEqual(requests.forget("a2"), ["a5"]);
  assert.deepEqual(requests.forget("unknown"), []);
  // The limit is reached again, and the first that waits then is marked.
  for (const name of ["a3", "a5"]) {
    assert.deepEqual(requests.admit(name, "a"), { kind: "check" });
    requests.set(name, "a", pending("why"));
  }
  assert.deepEqual(requests.admit("a6", "a"), { kind: "wait", isFirst: true });
});

test("RequestStates admits the next request in place of a decided or unmatched one", () => {
  const requests = new RequestStates(1);
  requests.set("a1", "a", pending("why"));
  for (const name of ["a2", "a3"]) requests.admit(name, "a");
  assert.deepEqual(requests.set("a1", "a", { kind: "unmatched", refusals: 0 }), ["a2"]);
  // The released request was approved: it never became pending, and its place is still free.
  assert.deepEqual(requests.forget("a2"), ["a3"]);
  assert.deepEqual(requests.list("waiting", "released", "unmatched"), ["a3", "a1"]);
});

test("RequestStates admits a waiting request while there is room", () => {
  const requests = new RequestStates(1);
  requests.set("a1", "a", pending("why"));
  for (const name of ["a2", "a3"]) requests.admit(name, "a");
  assert.deepEqual(requests.forget("a1"), ["a2"]);
  for (const [name, kind] of [["new", undefined], ["a3", "released"]] as const) {
    assert.deepEqual(requests.admit(name, "a"), { kind: "check" });
    assert.equal(requests.get(name)?.kind, kind);
  }
});

test("RequestStates does not confuse requesters, whatever their names are", () => {
  const requests = new RequestStates(1);
  requests.set("one", "", pending("why"));
  requests.set("two", " ", pending("why"));
  assert.deepEqual(requests.listPending(""), ["one"]);
  assert.deepEqual(requests.listPending(" "), ["two"]);
  assert.deepEqual(requests.list("pending"), ["one", "two"]);
  requests.forget("one");
  assert.deepEqual(requests.admit("three", ""), { kind: "check" });
  assert.deepEqual(requests.admit("three", " "), { kind: "wait", isFirst: true });
});

test("RequestStates limits held requests for a name, and those for a name from one address, and nothing else", () => {
  const states = new RequestStates();
  const hold = (request: string, names: readonly string[], address?: string): string | undefined => {
    const excess = states.findExcess(request, names, address);
    if (excess === undefined) states.set(request, "token", held(names, address));
    return excess;
  };
  for (const request of ["a1", "a2", "a3", "a3"]) assert.equal(hold(request, ["x"], "10.0.0.9"), undefined, request);
  assert.match(
    hold("a4", ["x"], "10.0.0.9") ?? "",
    /^3 requests for x from 10\.0\.0\.9 are already held for a person: /,
  );
  assert.equal(hold("other", ["y"], "10.0.0.9"), undefined, "another name");
  for (let index = 0; index < 7; index++) {
    assert.equal(hold(`b${index}`, ["x"], index < 4 ? undefined : `10.0.1.${index}`), undefined);
  }
  assert.deepEqual(states.listHeld("y"), ["other"]);
  assert.equal(states.listHeld("x").length, 10);
  for (const address of ["10.0.0.8", undefined]) {
    assert.match(hold("c", ["y", "x"], address) ?? "", /^10 requests for x are already held for a person: /);
  }
  for (const request of ["a1", "a1", "never held"]) states.forget(request);
  assert.equal(hold("c", ["y", "x"], undefined), undefined);
  assert.notEqual(hold("d", ["x"], undefined), undefined);
});

test("RequestStates does not count held requests as pending ones of their requester", () => {
  const states = new RequestStates(1);
  states.set("held", "token", held(["x"], undefined));
  assert.deepEqual(states.admit("held", "token"), { kind: "check" });
  assert.deepEqual(states.admit("honest", "token"), { kind: "check" });
});
