/** The page of one request, with the forms that decide it. */
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { isSettled } from "../../core/approval/recognizers.ts";
import type { RequestView } from "../../core/report/request_view.ts";
import { csrPath, parseCsrNames } from "../../client/admin/csrs.ts";
import { createApproval, createDenial, decideOne, type SeenRequest } from "../../client/admin/decisions.ts";
import { readApproverSettings } from "../../client/admin/published_settings.ts";
import { createRequestViews } from "../../client/admin/request_views.ts";
import { capitalize } from "../../core/report/words.ts";
import { PostForm } from "../layout.tsx";
import { addFlags } from "../parts.tsx";
import type { CommandFlags, UiAction, UiContext, UiElement, UiOutcome, UiPage } from "../page.ts";
import { RequestDetails, RequestHead } from "./request_facts.tsx";
import { REQUESTS } from "./requests.tsx";

/** The name of the page in the conditions of requests. */
export const UI_TOOL = "tlsboot ui";

/** The longest reason that a person gives for a denial, in characters. */
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
  return await createRequestViews(connection, { chosen, signers: chosen.signers }, io).view(csr, signal);
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

/** Describes what the forms depend on: they are replaced only when it changes. */
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
                {" I have read the warnings, and approve it all the same"}
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
    const approval = await createApproval(api, UI_TOOL, signal);
    await decideOne(api, name, approval, io, signal, seen);
    return moveToRequest(name, `Request ${name} is approved.`);
  },
};

/** Refuses to approve a request with warnings that the user has not confirmed; there may be new ones since the page was shown. */
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
    const denial = await createDenial(api, UI_TOOL, signal, { message });
    await decideOne(api, name, denial, io, signal, readSeen(form));
    return moveToRequest(name, `Request ${name} is denied.`);
  },
};

function moveToRequest(name: string, message: string): UiOutcome {
  return { kind: "moved", location: `/requests/${encodeURIComponent(name)}`, message };
}

function readName({ params }: UiContext): string {
  const [name = ""] = parseCsrNames([params["name"] ?? ""]);
  return name;
}

/** Reads which object in which state the user has seen. */
function readSeen(form: URLSearchParams): SeenRequest {
  const uid = form.get("uid") ?? "";
  const resourceVersion = form.get("resourceVersion") ?? "";
  if (uid === "" || resourceVersion === "") throw new AppError("invalid", "the form does not name what it decides");
  return { uid, resourceVersion };
}
