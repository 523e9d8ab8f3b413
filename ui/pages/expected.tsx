/** Approves many requests at once: one for each machine that the user expects and names. */
import type { ExpectedMachine } from "../../core/approval/evidence/expected_machines.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import { DataTable, PostForm } from "../layout.tsx";
import type { UiAction, UiContext, UiElement, UiPage } from "../page.ts";
import { describeFoundRows, Links, RequestLink } from "../parts.tsx";
import { UI_TOOL, waitUntilDecided } from "./requests.tsx";
import { createDecision, decideOne } from "../../client/admin/decisions.ts";
import {
  parseExpectedMachines,
  planExpectedMachines,
  type PlannedMachine,
} from "../../client/admin/expected_machines.ts";

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
          : "approved already";
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

async function readPlan({ connection, io, signal }: UiContext, text: string): Promise<readonly PlannedMachine[]> {
  const nodes = parseExpectedMachines(text);
  if (!nodes.ok) {
    throw new AppError("invalid", nodes.error.join("\n"), {
      hint: "name machines, one a line, or paste a file of kind Inventory",
    });
  }
  return await planExpectedMachines(connection.api, nodes.value, io.clock, signal);
}

/** Identifies an object in one state, so that only what was shown is approved. */
function formatSeen({ metadata: { name, uid, resourceVersion } }: CertificateSigningRequest): string {
  return `${name} ${uid} ${resourceVersion}`;
}

function ListForm({ context, machines }: { readonly context: UiContext; readonly machines: string }): UiElement {
  return (
    <PostForm context={context} action="/expected">
      <p>
        One request is approved for each machine that is named here. A request for any other name, and one for a name
        that two machines claim, stays pending. The next page shows what would be approved.
      </p>
      <p>
        <label for="machines">Expected machines: names, one a line, or a file of kind Inventory</label>
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
      return "has not asked yet";
    case "approve":
      return `would be approved, requested by ${state.csr.spec.username ?? ""}`;
    case "arrived":
      return state.pending.length === 0
        ? "has an approved request or a certificate"
        : "has a certificate; another machine may be claiming its name";
    case "contested":
      return "is claimed with different keys; find out which is the machine's, and approve that request alone";
  }
}
