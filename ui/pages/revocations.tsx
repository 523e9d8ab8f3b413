/** The revocations, and the forms that revoke something or take a revocation back after showing the effect. */
import { capitalize } from "../../core/lib/printable.ts";
import { hash } from "node:crypto";
import { AppError } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import type { Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { REVOCATION_REASONS } from "../../core/kube/kinds/constants.ts";
import { type RecordRow, toRow } from "../../core/report/record_rows.ts";
import { canBeTakenBack, findRevocationTarget } from "../../core/revocation/revocation.ts";
import { explainMissingGroup, revocationPath } from "../../client/admin/records.ts";
import { RevocationPlanner } from "../../client/admin/revocation_plan.ts";
import {
  describeDone,
  describeNextSteps,
  describePlanEffect,
  listAffectedCertificates,
  type RevocationPlan,
} from "../../core/report/revocation_text.ts";
import {
  carryOutRevocation,
  countReleased,
  parseTypedTarget,
  takeBackRevocation,
} from "../../client/admin/revocations.ts";
import { DataTable, Facts, Moment, PostForm } from "../layout.tsx";
import type { UiAction, UiContent, UiContext, UiElement, UiPage } from "../page.ts";
import {
  addFlags,
  CertificateTable,
  describeFoundRows,
  MachineLink,
  MissingNotes,
  takePage,
  TokenLink,
} from "../parts.tsx";
import {
  createNotFound,
  getPathName,
  readCertificates,
  readIfPossible,
  RECORD_WATCH,
  REVOCATION_WATCH,
  waitUntilShown,
} from "../sources.ts";

type Revoke = Extract<RevocationPlan, { readonly kind: "revoke" }>;

export const revocationsPage: UiPage = {
  path: "/revocations",
  nav: "Revocations",
  live: [REVOCATION_WATCH.id],
  async render(context) {
    const { query, now } = context;
    const { entries, missing } = await readIfPossible(context, REVOCATION_WATCH, "revocations");
    const all = [...entries.values()].sort((a, b) => Date.parse(b.status.time ?? "") - Date.parse(a.status.time ?? ""));
    const { rows, pager } = takePage(all, "/revocations", query);
    return {
      title: "Revocations",
      body: (
        <>
          <MissingNotes notes={[missing]} />
          {missing === undefined ? <TargetForm /> : <UnsupportedNote />}
          <div id="revocation-list" data-swap>
            {missing === undefined
              ? (
                <DataTable
                  caption={describeFoundRows(all.length, all.length, "revocations")}
                  rows={rows}
                  empty="Nothing is revoked."
                  columns={[
                    {
                      heading: "Revoked",
                      cell: (row) => <a href={`/revocations/${getPathName(row)}`}>{describeTarget(row)}</a>,
                    },
                    { heading: "Reason", cell: ({ spec }) => spec.reason },
                    { heading: "Message", cell: ({ spec }) => spec.message ?? "–" },
                    { heading: "Since", cell: ({ status }) => <Moment at={status.time ?? undefined} now={now} /> },
                    { heading: "By", cell: ({ status }) => status.revokedBy ?? "–" },
                  ]}
                />
              )
              : ""}
            {pager}
          </div>
        </>
      ),
    };
  },
};

/** The page of one revocation, with the form that takes it back. */
export const revocationPage: UiPage = {
  path: "/revocations/:name",
  live: [REVOCATION_WATCH.id, RECORD_WATCH.id],
  async render(context) {
    const { params: { name = "" }, now, connection, flags, signal } = context;
    const { entries, missing } = await readIfPossible(context, REVOCATION_WATCH, "revocations");
    const revocation = entries.get(name);
    if (revocation === undefined) {
      throw createNotFound(`the revocation "${name}"`, missing?.why ?? "find it in the list of revocations");
    }
    const { rows, missing: unread } = await readCertificates(context);
    const covered = rows.filter(({ record }) => record.status.revocation?.name === name).toReversed();
    const target = findRevocationTarget(revocation.spec);
    const { reason, message, includeCertificates } = revocation.spec;
    const { revokedBy, time } = revocation.status;
    const isReversible = canBeTakenBack(revocation);
    const released = isReversible ? await countReleased(connection.api, [...entries.values()], name, now, signal) : 0;
    return {
      title: `Revocation of ${describeTarget(revocation)}`,
      body: (
        <>
          <MissingNotes notes={unread} />
          <div id="revocation" data-swap>
            <Facts
              facts={[
                [
                  "Revoked",
                  target?.kind === "node"
                    ? (
                      <>
                        node <MachineLink name={target.value} />
                      </>
                    )
                    : target?.kind === "token"
                    ? (
                      <>
                        token <TokenLink id={target.value} />
                      </>
                    )
                    : describeTarget(revocation),
                ],
                ["With its certificates", target?.kind === "token" ? (includeCertificates ? "yes" : "no") : undefined],
                ["Reason", reason],
                ["Message", message],
                [
                  "Since",
                  <>
                    {time ?? "unknown"} (<Moment at={time ?? undefined} now={now} />)
                  </>,
                ],
                ["By", revokedBy],
              ]}
            />
            <h2>Certificates that it covers</h2>
            <CertificateTable
              rows={covered}
              now={now}
              caption="Certificates that this revocation covers"
              empty="It covers no certificate of the register."
            />
          </div>
          <section class="panel" aria-labelledby="back">
            <h2 id="back">Take it back</h2>
            {isReversible
              ? (
                <>
                  <p>
                    {`${describeReleased(released)}${target?.kind === "token" ? addFlags(TOKEN_NOTE, flags) : "."}`}
                  </p>
                  <PostForm
                    context={context}
                    action={`/revocations/${getPathName(revocation)}/unrevoke`}
                    hidden={{ uid: revocation.metadata.uid ?? "" }}
                  >
                    <button type="submit">{`Take back the revocation of ${describeTarget(revocation)}`}</button>
                  </PostForm>
                </>
              )
              : (
                <p>
                  Only a certificate on hold can be restored; this one is revoked for good. Its holder needs a new
                  certificate.
                </p>
              )}
          </section>
        </>
      ),
    };
  },
};

const TOKEN_NOTE = ". A deleted token does not come back; make another one with: tlsboot token create";

/** The form that takes a revocation back. */
export const unrevokeAction: UiAction = {
  path: "/revocations/:name/unrevoke",
  async run(context, form) {
    const { connection: { api }, params: { name = "" }, now, signal } = context;
    const revocation = await explainMissingGroup(() =>
      api.requestObject<Revocation>({ method: "GET", path: revocationPath(name) }, signal)
    );
    const target = findRevocationTarget(revocation.spec);
    if (target === undefined || revocation.metadata.uid !== form.get("uid")) {
      throw new AppError("conflict", `the revocation "${name}" is not the one that the page showed`, {
        hint: "look at the list of revocations again",
      });
    }
    const count = await takeBackRevocation(describeTarget(revocation), target, api, now, signal);
    await waitUntilShown(context, REVOCATION_WATCH, (entries) => !entries.has(name));
    await waitUntilShown(
      context,
      RECORD_WATCH,
      (entries) => entries.values().every(({ status }) => status.revocation?.name !== name),
    );
    const done = `${describeTarget(revocation)} is no longer revoked. ${describeReleased(count)}.`;
    return { kind: "moved", location: "/revocations", message: done };
  },
};

/** The page that shows what a revocation would do, and asks for its reason. */
export const revokePage: UiPage = {
  path: "/revoke",
  live: [],
  async render(context) {
    const { query } = context;
    const text = (query.get("target") ?? "").trim();
    const certificates = query.get("certificates") === "yes";
    return showPlan(context, await createPlan(context, { text, certificates }), { certificates });
  },
};

/** The form that revokes what the page has shown. */
export const revokeAction: UiAction = {
  path: "/revoke",
  async run(context, form) {
    const { connection: { api }, now, signal } = context;
    const certificates = form.get("certificates") === "yes";
    const reason = form.get("reason") ?? "";
    const message = (form.get("message") ?? "").trim();
    const plan = await createPlan(context, { text: form.get("target") ?? "", certificates, reason, message });
    const shown = { certificates, reason, message };
    const fault = !REVOCATION_REASONS.includes(reason)
      ? "Choose a reason. Others can see it."
      : form.get("seen") !== hashPlan(plan, now)
      ? "What the revocation does has changed since the page was shown. Read it again."
      : (plan.isOwn || plan.isUnknown) && form.get("sure") !== "yes"
      ? "Confirm that this is what you want."
      : undefined;
    if (fault !== undefined) return { kind: "shown", content: showPlan(context, plan, shown, fault) };
    const { isTokenDeleted, failure } = await carryOutRevocation(plan, api, signal);
    await waitUntilShown(context, REVOCATION_WATCH, (entries) => entries.has(getName(plan.revocation)));
    const affected = listAffectedCertificates(plan, now).map(getName);
    await waitUntilShown(
      context,
      RECORD_WATCH,
      (entries) => affected.every((name) => entries.get(name)?.status.revocation !== undefined),
    );
    const steps = [...(failure === undefined ? [] : [failure]), ...describeNextSteps(plan, now)];
    return {
      kind: "moved",
      location: `/revocations/${getPathName(plan.revocation)}`,
      message: [describeDone(plan, isTokenDeleted, now), ...steps.map((step) => addFlags(step, context.flags))]
        .map(capitalize).join(". "),
    };
  },
};

interface PlanInput extends ShownInput {
  /** The target as the user typed it, such as `node/n1`. */
  readonly text: string;
}

async function createPlan(
  { connection, now, signal }: UiContext,
  { text, certificates, reason = "unspecified", message = "" }: PlanInput,
): Promise<Revoke> {
  const target = parseTypedTarget(text);
  const options = { reason: reason || "unspecified", message: message === "" ? undefined : message, certificates };
  const planner = new RevocationPlanner(connection, options, now);
  const [plan] = await explainMissingGroup(() => planner.plan([target], signal));
  if (plan === undefined || plan instanceof AppError) {
    throw plan ?? new AppError("internal", `no plan was made for "${text}"`);
  }
  if (plan.kind === "deny") {
    throw new AppError("invalid", `the request "${plan.name}" is pending, so it has no certificate`, {
      hint: "deny it on its own page",
    });
  }
  return plan;
}

interface ShownInput {
  readonly certificates: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function showPlan(context: UiContext, plan: Revoke, input: ShownInput, fault?: string): UiContent {
  const { now } = context;
  const affected = listAffectedCertificates(plan, now);
  const rows = affected.map((record): RecordRow => toRow(record, new Map(), now));
  const { target, isOwn, isUnknown, text } = plan;
  return {
    title: `Revoke ${text}`,
    body: (
      <>
        {fault === undefined ? "" : <p class="notice fault" role="alert">{fault}</p>}
        <p class="lead">{`If you revoke it, ${describePlanEffect(plan, affected.length)}.`}</p>
        {target.kind === "serial" ? <p>This cannot be taken back, unless the reason is certificateHold.</p> : ""}
        {isUnknown ? <p class="notice fault">The register has no certificate for it: check the spelling.</p> : ""}
        {isOwn ? <p class="notice fault">This page uses a credential that it covers: you lose your own access.</p> : ""}
        <CertificateTable
          rows={rows.slice(0, MAX_AFFECTED)}
          now={now}
          caption={rows.length > MAX_AFFECTED
            ? `The first ${MAX_AFFECTED} of ${rows.length} certificates that stop working`
            : "Certificates that stop working"}
          empty="No valid certificate is affected."
        />
        <PostForm
          context={context}
          action="/revoke"
          hidden={{ target: text, certificates: input.certificates ? "yes" : "no", seen: hashPlan(plan, now) }}
        >
          <p>
            <label for="reason">Reason</label>
            <select id="reason" name="reason" required>
              <option value="" selected={(input.reason ?? "") === ""}>choose one</option>
              {REVOCATION_REASONS.map((one) => <option value={one} selected={one === input.reason}>{one}</option>)}
            </select>
          </p>
          <p>
            <label for="message">Message: the cause, in a sentence</label>
            <input id="message" name="message" type="text" maxlength={1_024} value={input.message ?? ""} />
          </p>
          {isOwn || isUnknown
            ? (
              <p>
                <label for="sure">
                  <input id="sure" name="sure" type="checkbox" value="yes" /> Revoke it anyway
                </label>
              </p>
            )
            : ""}
          <button type="submit" class="danger">{`Revoke ${text}`}</button>
        </PostForm>
      </>
    ),
  };
}

/** The number of certificates that are listed before a revocation. */
const MAX_AFFECTED = 100;

/** Hashes the effects of a plan, so that only those that the page showed are carried out. */
function hashPlan(plan: Revoke, now: Date): string {
  const { revocation, replaced, isOwn, isUnknown, hasTokenSecret } = plan;
  const { spec, metadata } = revocation;
  const facts = [
    metadata.name,
    spec.includeCertificates ?? false,
    replaced?.metadata.uid,
    isOwn,
    isUnknown,
    hasTokenSecret,
    ...listAffectedCertificates(plan, now).map(getName),
  ];
  return hash("sha256", JSON.stringify(facts));
}

function TargetForm(): UiElement {
  return (
    <form method="get" action="/revoke" class="filter">
      <div>
        <label for="target">Revoke a serial number, node/NAME, user/NAME, group/NAME or token/ID</label>
        <input id="target" name="target" type="text" required autocomplete="off" spellcheck={false} />
      </div>
      <button type="submit">Show what it does…</button>
    </form>
  );
}

function UnsupportedNote(): UiElement {
  return (
    <p>
      kube-apiserver reads no list of revoked certificates and accepts a client certificate until it expires. Pending
      {" "}
      <a href="/requests?state=pending">requests</a> can be denied and <a href="/tokens">tokens</a>{" "}
      deleted; for everything else, see <code>tlsboot guide existing_cluster</code>.
    </p>
  );
}

function describeTarget({ spec }: Revocation): string {
  const target = findRevocationTarget(spec);
  if (target === undefined) return "nothing";
  return `${target.kind === "serial" ? "certificate" : target.kind} ${target.value}`;
}

function describeReleased(count: number): string {
  return count === 1 ? "One certificate works again" : `${count} certificates work again`;
}
