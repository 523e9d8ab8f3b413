/** Approves many requests at once: one for each machine on a list of expected machines. */
import { findRequestedNode } from "../../core/approval/evidence/claims.ts";
import { type ExpectedMachine, planExpectedMachine } from "../../core/approval/evidence/expected_machines.ts";
import { HASHED_NAMES_FAULT, parseInventory } from "../../core/approval/evidence/inventory.ts";
import { isKnownHosts } from "../../core/attestation/known_hosts.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { parseNodeName } from "../../core/machine/node_name.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { listCsrs } from "../../client/admin/csrs.ts";
import { createDecision, decideOne } from "../../client/admin/decisions.ts";
import { createCertificateLookup } from "../../client/admin/holds.ts";
import { DataTable, PostForm } from "../layout.tsx";
import type { UiAction, UiContext, UiElement, UiPage } from "../page.ts";
import { describeFoundRows, Links, RequestLink } from "../parts.tsx";
import { UI_TOOL, waitUntilDecided } from "./requests.tsx";

export const expectedPage: UiPage = {
  path: "/expected",
  live: [],
  render: (context) => ({ title: "Approve expected machines", body: <ListForm context={context} machines="" /> }),
};

/** Shows what would be approved for a list of machines, and approves nothing. */
export const planExpectedAction: UiAction = {
  path: "/expected",
  async run(context, form) {
    const text = form.get("machines") ?? "";
    const plan = await readPlan(context, text);
    const ready = plan.flatMap(({ state }) => state.kind === "approve" ? [state.csr] : []);
    const hidden = { machines: text, seen: ready.map(formatSeen).join("\n") };
    const title = "Approve expected machines";
    const body = (
      <>
        <DataTable
          caption={describeFoundRows(plan.length, plan.length, "expected machines")}
          rows={plan}
          empty="No machine is expected."
          columns={[
            { heading: "Machine", cell: ({ node }) => node },
            { heading: "State", cell: ({ state }) => describeState(state) },
            {
              heading: "Request",
              cell: ({ state }) => <Links links={listRequestNames(state).map((name) => <RequestLink name={name} />)} />,
            },
          ]}
        />
        {ready.length === 0
          ? <p class="notice wait">No request of these machines can be approved now.</p>
          : (
            <PostForm context={context} action="/requests/approve" hidden={hidden}>
              <p>
                <button type="submit">
                  {ready.length === 1 ? "Approve one request" : `Approve ${ready.length} requests`}
                </button>
              </p>
            </PostForm>
          )}
        <h2>Change the list</h2>
        <ListForm context={context} machines={text} />
      </>
    );
    return { kind: "shown", content: { title, body } };
  },
};

/** Approves the requests that the plan has shown, and none that has changed since. */
export const approveExpectedAction: UiAction = {
  path: "/requests/approve",
  async run(context, form) {
    const { connection: { api }, io, signal } = context;
    const seen = new Set((form.get("seen") ?? "").split("\n"));
    const plan = await readPlan(context, form.get("machines") ?? "");
    const approval = await createDecision("approve", api, UI_TOOL, signal);
    const results: ApprovedMachine[] = [];
    for (const { node, state } of plan) {
      if (state.kind !== "approve") continue;
      const { csr } = state;
      results.push({ node, name: getName(csr), result: await approve(csr) });
    }

    async function approve(csr: CertificateSigningRequest): Promise<string> {
      if (!seen.has(formatSeen(csr))) return "not approved: it was not on the list that was shown";
      const { uid, resourceVersion = "" } = csr.metadata;
      try {
        return await decideOne(api, getName(csr), approval, io, signal, { uid, resourceVersion })
          ? "approved"
          : "already approved";
      } catch (error) {
        signal.throwIfAborted();
        return `not approved: ${getErrorMessage(error)}`;
      }
    }

    const approved = results.filter(({ result }) => result === "approved");
    const count = approved.length;
    await waitUntilDecided(context, approved.map(({ name }) => name));
    const body = (
      <>
        <p class="lead">{count === 1 ? "One request is approved." : `${count} requests are approved.`}</p>
        <DataTable
          caption="Requests of expected machines"
          rows={results}
          empty="No request of these machines could be approved."
          columns={[
            { heading: "Machine", cell: ({ node }) => node },
            { heading: "Request", cell: ({ name }) => <RequestLink name={name} /> },
            { heading: "Result", cell: ({ result }) => result },
          ]}
        />
        <p>
          <a href="/requests">All requests</a>
        </p>
      </>
    );
    return { kind: "shown", content: { title: "Approve expected machines", body } };
  },
};

/** The result for one machine of the list. */
interface ApprovedMachine {
  readonly node: string;
  readonly name: string;
  readonly result: string;
}

/** One machine of the list and its state. */
interface PlannedMachine {
  readonly node: string;
  readonly state: ExpectedMachine;
}

/** Plans what to do for each machine of a list, from the current requests and certificates of the API. */
async function readPlan(
  { connection: { api }, io: { clock }, signal }: UiContext,
  text: string,
): Promise<readonly PlannedMachine[]> {
  const nodes = parseExpectedMachines(text);
  if (!nodes.ok) {
    throw new AppError("invalid", nodes.error.join("\n"), {
      hint: "write the names of the machines, one per line, or paste a file of kind Inventory",
    });
  }
  const byNode = new Map<string, CertificateSigningRequest[]>(nodes.value.map((node) => [node, []]));
  for (const csr of (await listCsrs(api, {}, signal)).items) {
    const request = parseRequest(csr.spec.request);
    const node = request.ok ? findRequestedNode(csr, request.value) : undefined;
    if (node !== undefined) byNode.get(node)?.push(csr);
  }
  const lookUp = createCertificateLookup(api, [], clock, signal);
  return await Promise.all([...byNode].map(async ([node, requests]) => {
    const known = await lookUp(node, "");
    if (known.kind === "failed") throw new AppError("unreachable", known.message);
    const certificates = known.kind === "found" ? known.value : [];
    return { node, state: planExpectedMachine(node, requests, certificates, clock.now()) };
  }));
}

/** Parses a list of machines: names separated by spaces, commas or line breaks, or an inventory. */
export function parseExpectedMachines(text: string): Result<readonly string[], readonly string[]> {
  if (/^kind:/m.test(text) || isKnownHosts(text)) {
    const inventory = parseInventory(text);
    if (!inventory.ok) return inventory;
    return inventory.value.hashedHosts === undefined ? ok([...inventory.value.keys()]) : err([HASHED_NAMES_FAULT]);
  }
  const names: string[] = [];
  const faults: string[] = [];
  for (const word of text.split(/[\s,]+/).filter((candidate) => candidate !== "")) {
    const name = parseNodeName(word);
    if (name.ok) names.push(name.value);
    else faults.push(`"${word}" is not the name of a machine: ${name.error}`);
  }
  if (faults.length > 0) return err(faults);
  return names.length === 0 ? err(["the list has no machine"]) : ok([...new Set(names)]);
}

/** Identifies an object in one state, so that only what was shown is approved. */
function formatSeen({ metadata: { name, uid, resourceVersion } }: CertificateSigningRequest): string {
  return `${name} ${uid} ${resourceVersion}`;
}

function ListForm({ context, machines }: { readonly context: UiContext; readonly machines: string }): UiElement {
  return (
    <PostForm context={context} action="/expected">
      <p>
        One request is approved for each machine on the list. Requests for other names, and for names that two machines
        claim, stay pending. The next page shows what would be approved.
      </p>
      <p>
        <label for="machines">Expected machines: names, one per line, or a file of kind Inventory</label>
        <textarea id="machines" name="machines" required spellcheck={false}>{machines}</textarea>
      </p>
      <button type="submit">Show what would be approved</button>
    </PostForm>
  );
}

function listRequestNames(state: ExpectedMachine): readonly string[] {
  switch (state.kind) {
    case "missing":
      return [];
    case "approve":
      return [getName(state.csr)];
    case "arrived":
    case "contested":
      return state.pending;
  }
}

function describeState(state: ExpectedMachine): string {
  switch (state.kind) {
    case "missing":
      return "has not requested a certificate yet";
    case "approve":
      return `would be approved, requested by ${state.csr.spec.username ?? ""}`;
    case "arrived":
      return state.pending.length === 0
        ? "has an approved request or a certificate"
        : "has a certificate; another machine may be claiming its name";
    case "contested":
      return "is claimed with different keys; find out which key is the machine's and approve only that request";
  }
}
