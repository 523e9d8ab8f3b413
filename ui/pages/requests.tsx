/** The list of requests, and the page of one, with the view of `describe csr` and `approve -i` and a form. */
import { capitalize } from "../../core/lib/printable.ts";
import { csrPath, parseCsrNames } from "../../client/admin/csrs.ts";
import { createDecision, decideOne, type SeenRequest } from "../../client/admin/decisions.ts";
import { readApproverSettings } from "../../client/admin/published_settings.ts";
import { createRequestViews } from "../../client/admin/request_views.ts";
import { isSettled } from "../../core/approval/recognizers.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import {
  type CsrState,
  type RequestSummary,
  shortenNames,
  summarizeRequest,
} from "../../core/report/request_summary.ts";
import type { RequestView, RuleView } from "../../core/report/request_view.ts";
import { findCondition } from "../../core/request/phase.ts";
import type { UiCollection, UiWatch } from "../data.ts";
import { DataTable, Facts, Moment, PostForm } from "../layout.tsx";
import { findMachineOfRequest } from "../machines.ts";
import type { CommandFlags, UiAction, UiContext, UiElement, UiOutcome, UiPage } from "../page.ts";
import { addFlags, describeFoundRows, ListFilter, readListFilter, RequestLink, takePage } from "../parts.tsx";
import { type FactSection, type FactValue, listFactSections } from "../request_rows.ts";
import { waitUntilShown } from "../sources.ts";

/** The parts of a request that the activity shows; lists of many requests keep only these. */
export interface ActivityRequest {
  readonly name: string;
  readonly username: string;
  readonly for: string;
  readonly signer: string;
  readonly createdAt: string | undefined;
  readonly decisions: readonly {
    readonly type: "Approved" | "Denied" | "Failed";
    readonly reason: string;
    readonly message: string;
    readonly at: string | undefined;
  }[];
}

/** A request as lists show it. */
export interface KeptRequest extends RequestSummary, ActivityRequest {
  /** The machine that it is for, or that sent it. */
  readonly node: string | undefined;
}

/** Summarizes a request together with its requester and the decisions about it. */
export function toActivityRequest(csr: CertificateSigningRequest): ActivityRequest & RequestSummary {
  const decisions = (["Approved", "Denied", "Failed"] as const).flatMap((type) => {
    const found = findCondition(csr, type);
    if (found === undefined) return [];
    const { reason = "", message = "", lastUpdateTime } = found;
    return [{ type, reason, message, at: lastUpdateTime ?? undefined }];
  });
  return { ...summarizeRequest(csr), username: csr.spec.username ?? "", decisions };
}

/** Watches the requests and keeps their summaries. */
export const REQUESTS: UiWatch<CertificateSigningRequest, KeptRequest> = {
  id: "requests",
  kind: certificateSigningRequestKind,
  keep: (csr) => ({ ...toActivityRequest(csr), node: findMachineOfRequest(csr) }),
};

/** Waits until the list shows that requests are decided, so that the next page does not count them as pending. */
export function waitUntilDecided(context: UiContext, names: readonly string[]): Promise<void> {
  return waitUntilShown(context, REQUESTS, (entries) => names.every((name) => entries.get(name)?.state !== "pending"));
}

const STATES: readonly CsrState[] = ["pending", "approved", "issued", "denied", "failed"];

export const requestsPage: UiPage = {
  path: "/requests",
  nav: "Requests",
  live: [REQUESTS.id],
  async render(context) {
    const { query, now, signal, data } = context;
    const all = sortRequests(await data.read(REQUESTS, signal));
    const { chosen: state, words } = readListFilter(query, "state", STATES);
    const found = all.filter((row) => (state === undefined || row.state === state) && matches(row, words));
    const { rows, pager } = takePage(found, "/requests", query);
    return {
      title: "Requests",
      body: (
        <>
          <div id="request-count" role="status" aria-live="polite" data-swap>
            <p class="lead">{describeCount(all)}</p>
          </div>
          <ListFilter action="/requests" query={query} choice={{ name: "state", label: "State", values: STATES }} />
          <div id="request-list" data-swap>
            <RequestTable
              rows={rows}
              now={now}
              caption={describeFoundRows(found.length, all.length, "requests")}
            />
            {pager}
          </div>
          <p>
            <a href="/expected">Approve the requests of expected machines</a>
          </p>
        </>
      ),
    };
  },
};

function RequestTable(
  { rows, now, caption }: { readonly rows: readonly RequestSummary[]; readonly now: Date; readonly caption: string },
): UiElement {
  return (
    <DataTable
      caption={caption}
      rows={rows}
      empty="No request matches."
      columns={[
        { heading: "State", cell: ({ state }) => <span class={`state ${state}`}>{state}</span> },
        {
          heading: "Name",
          cell: ({ name, shortName }) => <a href={`/requests/${encodeURIComponent(name)}`} title={name}>{shortName}</a>,
        },
        { heading: "For", cell: (row) => row.for },
        { heading: "Signer", cell: ({ signer, signerName }) => <span title={signerName}>{signer}</span> },
        { heading: "Requested by", cell: ({ requestedBy }) => requestedBy },
        { heading: "Requested", cell: ({ createdAt }) => <Moment at={createdAt} now={now} /> },
        { heading: "Expires", cell: ({ expiresAt }) => <Moment at={expiresAt} now={now} /> },
      ]}
    />
  );
}

/** Caches the sorted requests of a version, because sorting ten thousand takes longer than rendering a page. */
const sorted = new WeakMap<object, { readonly version: number; readonly rows: readonly RequestSummary[] }>();

/** Sorts the requests, pending ones first and then the newest first, and shortens their names. */
function sortRequests(collection: UiCollection<RequestSummary>): readonly RequestSummary[] {
  const { entries, version } = collection;
  const known = sorted.get(entries);
  if (known?.version === version) return known.rows;
  const shortNames = shortenNames([...entries.keys()]);
  const rows = [...entries.values()]
    .map((row) => ({ ...row, shortName: shortNames.get(row.name) ?? row.name }))
    .sort((a, b) => rank(a) - rank(b) || compare(b.createdAt ?? "", a.createdAt ?? "") || compare(a.name, b.name));
  sorted.set(entries, { version, rows });
  return rows;
}

function rank({ state }: RequestSummary): number {
  return state === "pending" ? 0 : 1;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function matches(row: RequestSummary, words: string): boolean {
  return words === "" ||
    [row.name, row.for, row.signerName, row.signer, row.requestedBy].some((text) => text.toLowerCase().includes(words));
}

function describeCount(all: readonly RequestSummary[]): string {
  const pending = all.filter(({ state }) => state === "pending").length;
  if (pending === 0) return "No request is pending.";
  return pending === 1 ? "One request is pending." : `${pending} requests are pending.`;
}

/** The name of the page in the conditions of requests. */
export const UI_TOOL = "tlsboot ui";

/** The longest reason for a denial, in characters. */
const MAX_REASON_LENGTH = 1_000;

export const requestPage: UiPage = {
  path: "/requests/:name",
  live: [REQUESTS.id],
  async render(context) {
    const { connection: { api }, signal, now, data } = context;
    const name = readName(context);
    // The watch reports when the request changes.
    await data.read(REQUESTS, signal);
    const csr = await api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(name) }, signal);
    const view = withFlags(await readView(context, csr), context.flags);
    return {
      title: `Request ${name}`,
      heading: `${capitalize(view.sentence)}.`,
      live: [`${REQUESTS.id}:${name}`],
      body: (
        <>
          <div id="request-head" data-swap>
            <RequestHead view={view} now={now} />
          </div>
          <div id="request-forms" data-swap data-key={describeForms(view)}>
            {view.state === "pending" ? <DecisionForms view={view} context={context} /> : ""}
          </div>
          <div id="request-details" data-swap>
            <RequestDetails view={view} now={now} />
          </div>
          <p>
            <a href="/requests">All requests</a>
          </p>
        </>
      ),
    };
  },
};

/** Reads everything that is known about a request, by the rules that the approver has published. */
async function readView(
  { connection, io, signal }: UiContext,
  csr: CertificateSigningRequest,
): Promise<RequestView> {
  const chosen = await readApproverSettings(connection.api, signal);
  return await createRequestViews(connection, { chosen }, io).view(csr, signal);
}

/** Adds the flags of this server to the commands in the advice of a view. */
function withFlags(view: RequestView, flags: CommandFlags): RequestView {
  const add = (text: string): string => addFlags(text, flags);
  return {
    ...view,
    changes: view.changes.map(add),
    rules: view.rules.map((rule) => ({
      ...rule,
      checks: rule.checks.map((check) => check.fix === undefined ? check : { ...check, fix: add(check.fix) }),
    })),
  };
}

/** Describes the state that the forms are for, because they are replaced only when it changes. */
function describeForms({ state, uid, resourceVersion, warnings }: RequestView): string {
  return [state, uid, resourceVersion, warnings.length === 0 ? "" : "warned"].join("/");
}

function DecisionForms(
  { view, context }: { readonly view: RequestView; readonly context: UiContext },
): UiElement {
  const { name, uid, resourceVersion } = view;
  const path = `/requests/${encodeURIComponent(name)}`;
  const hidden = { uid, resourceVersion };
  return (
    <section class="forms" aria-label="Decision">
      <div class="panel">
        <h2>Approve</h2>
        <PostForm context={context} action={`${path}/approve`} hidden={hidden}>
          <p>The signer then issues the certificate. An approval cannot be taken back.</p>
          {view.warnings.length === 0 ? "" : (
            <p>
              <label>
                <input name="confirmed" type="checkbox" value="yes" required />
                {" I have read the warnings, and approve it anyway"}
              </label>
            </p>
          )}
          <button type="submit">Approve</button>
        </PostForm>
      </div>
      <div class="panel">
        <h2>Deny</h2>
        <PostForm context={context} action={`${path}/deny`} hidden={hidden}>
          <p>
            <label for="reason">Reason, which is kept with the request</label>
            <input id="reason" name="reason" type="text" required maxlength={MAX_REASON_LENGTH} autocomplete="off" />
          </p>
          <button type="submit" class="danger">Deny</button>
        </PostForm>
      </div>
    </section>
  );
}

export const approveRequestAction: UiAction = {
  path: "/requests/:name/approve",
  async run(context, form) {
    const { connection: { api }, io, signal } = context;
    const name = readName(context);
    const seen = readSeen(form);
    await checkConfirmed(context, name, form);
    const approval = await createDecision("approve", api, UI_TOOL, signal);
    await decideOne(api, name, approval, io, signal, seen);
    return await moveToRequest(context, name, `Request ${name} is approved.`);
  },
};

/** Refuses to approve a request with warnings that the user has not confirmed, such as those that are newer than the page. */
async function checkConfirmed(context: UiContext, name: string, form: URLSearchParams): Promise<void> {
  if (form.get("confirmed") === "yes") return;
  const { connection: { api }, signal } = context;
  const csr = await api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(name) }, signal);
  if (isSettled(csr)) return;
  const { warnings: [first] } = await readView(context, csr);
  if (first === undefined) return;
  throw new AppError("invalid", `request "${name}" is not approved: ${first}`, {
    hint: "go back, read the warnings, and confirm them",
  });
}

/** Denies the request that the user has seen, with a reason. */
export const denyRequestAction: UiAction = {
  path: "/requests/:name/deny",
  async run(context, form) {
    const { connection: { api }, io, signal } = context;
    const name = readName(context);
    const message = (form.get("reason") ?? "").trim();
    if (message === "" || message.length > MAX_REASON_LENGTH) {
      throw new AppError("invalid", `a reason of 1 to ${MAX_REASON_LENGTH} characters is needed`, {
        hint: "go back and write one",
      });
    }
    const denial = await createDecision("deny", api, UI_TOOL, signal, { message });
    await decideOne(api, name, denial, io, signal, readSeen(form));
    return await moveToRequest(context, name, `Request ${name} is denied.`);
  },
};

async function moveToRequest(context: UiContext, name: string, message: string): Promise<UiOutcome> {
  await waitUntilDecided(context, [name]);
  return { kind: "moved", location: `/requests/${encodeURIComponent(name)}`, message };
}

function readName({ params }: UiContext): string {
  const [name = ""] = parseCsrNames([params["name"] ?? ""]);
  return name;
}

/** Reads the uid and the version of the request that the user saw. */
function readSeen(form: URLSearchParams): SeenRequest {
  const uid = form.get("uid") ?? "";
  const resourceVersion = form.get("resourceVersion") ?? "";
  if (uid === "" || resourceVersion === "") {
    throw new AppError("invalid", "the form does not say which request it decides");
  }
  return { uid, resourceVersion };
}

/** The properties of the parts of a request's page. */
interface RequestPartProps {
  readonly view: RequestView;
  readonly now: Date;
}

/** The beginning of the page: the request in a sentence, its state, and the warnings. */
function RequestHead({ view, now }: RequestPartProps): UiElement {
  return (
    <>
      <p class="faint name">{view.name}</p>
      <p>
        <span class={`state ${view.state}`}>{view.stateText}</span>
        {" requested "}
        <Moment at={view.createdAt} now={now} />
      </p>
      {view.unsigned === undefined ? "" : <p class="notice wait">{view.unsigned}</p>}
      {view.warnings.length === 0 ? "" : (
        <div class="notice warning">
          <h2>Warnings</h2>
          <ul>{view.warnings.map((warning) => <li>{warning}</li>)}</ul>
        </div>
      )}
    </>
  );
}

/** Everything else that is known about a request. */
function RequestDetails({ view, now }: RequestPartProps): UiElement {
  return <>{listFactSections(view).map((section) => <Section section={section} now={now} />)}</>;
}

function Section({ section, now }: { readonly section: FactSection; readonly now: Date }): UiElement {
  const { title, paragraphs = [], facts, lists = [], rules = [], table } = section;
  const show = (value: FactValue | undefined) => <Value value={value} now={now} />;
  return (
    <section>
      <h2>{title}</h2>
      {paragraphs.map((text) => <p>{text}</p>)}
      {facts === undefined ? "" : <Facts facts={facts.map(([name, value]) => [name, show(value)])} />}
      {lists.map((list) => (
        <>
          {list.title === undefined ? "" : <h3>{list.title}</h3>}
          <ul>{list.texts.map((text) => <li>{text}</li>)}</ul>
        </>
      ))}
      {rules.map((rule, index) => <RuleDetails rule={rule} id={`rule-${index}`} />)}
      {table === undefined ? "" : (
        <DataTable
          caption={table.caption}
          rows={table.rows}
          empty={table.empty}
          columns={table.columns.map((heading, at) => ({
            heading,
            cell: (row: readonly FactValue[]) => show(row[at]),
          }))}
        />
      )}
    </section>
  );
}

function Value({ value = "", now }: { readonly value: FactValue | undefined; readonly now: Date }): UiElement {
  if (typeof value === "string") return <>{value}</>;
  return "time" in value ? <Moment at={value.time} now={now} /> : <RequestLink name={value.request} />;
}

function RuleDetails({ rule, id }: { readonly rule: RuleView; readonly id: string }): UiElement {
  return (
    <details id={id}>
      <summary>{`${rule.policy}, ${rule.rule}: ${rule.text}`}</summary>
      {rule.checks.length === 0 ? "" : (
        <ul>
          {rule.checks.map(({ what, saw, outcome, fault, fix }) => (
            <li>
              <span class={`check ${outcome}`}>{outcome}</span> {what}
              {saw === "" ? "" : `: ${saw}`}
              {fault === undefined ? "" : <p>{fault}</p>}
              {fix === undefined ? "" : <p>{`To change it: ${fix}`}</p>}
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}
