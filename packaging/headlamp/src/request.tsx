/** One request: the view that `tlsboot describe csr`, `tlsboot review` and `tlsboot ui` show too, and the decision. */
import { type ReactElement, type ReactNode, useState } from "react";
import { csrPath } from "../../../cli/api/csrs.ts";
import { createApproval, createDenial, type CsrDecision, decideOne } from "../../../cli/api/decisions.ts";
import { readApproverSettings } from "../../../cli/api/published_settings.ts";
import { createRequestViews } from "../../../cli/api/request_views.ts";
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { escapeUnseen } from "../../../core/lib/printable.ts";
import type { RequestView, RuleView } from "../../../core/review/request_view.ts";
import { clock, cluster } from "./cluster.ts";
import { formatMoment, StateLabel } from "./list.tsx";
import { describeFailure, useLoaded } from "./loaded.ts";
import { pluginLib } from "./plugin_lib.ts";

const { SectionBox, NameValueTable, SimpleTable } = pluginLib.CommonComponents;
const { Button, TextField } = pluginLib.MuiMaterial;

/** The name of the plugin in the conditions of requests. */
const TOOL = "tlsboot's Headlamp plugin";
const MAX_REASON_LENGTH = 1_000;

/** The page of one request. */
export function RequestPage(): ReactElement {
  const { name = "" } = pluginLib.ReactRouter.useParams();
  const { value: view, fault, refresh } = useLoaded(name, (signal) => readView(name, signal));
  return (
    <>
      <SectionBox title={`Request ${escapeUnseen(name)}`}>
        {fault === undefined ? null : <p role="alert">{escapeUnseen(fault)}</p>}
        {view === undefined ? null : <Summary view={view} />}
      </SectionBox>
      {view?.state === "pending"
        ? <Decision key={`${view.uid}/${view.resourceVersion}`} view={view} onDecided={refresh} />
        : null}
      {view === undefined ? null : <Details view={view} />}
    </>
  );
}

async function readView(name: string, signal: AbortSignal): Promise<RequestView> {
  const csr = await cluster.api.requestObject<CertificateSigningRequest>(
    { method: "GET", path: csrPath(name) },
    signal,
  );
  const chosen = await readApproverSettings(cluster.api, signal);
  return await createRequestViews(cluster, { chosen, signers: chosen.signers }, { clock }).view(csr, signal);
}

function Summary({ view }: { readonly view: RequestView }): ReactElement {
  return (
    <>
      <p>{escapeUnseen(`${view.sentence.charAt(0).toUpperCase()}${view.sentence.slice(1)}.`)}</p>
      <p>
        <StateLabel state={view.state} text={view.stateText} /> {formatMoment(view.createdAt)}
      </p>
      {view.unsigned === undefined ? null : <p>{escapeUnseen(view.unsigned)}</p>}
      <TextList title="Notice first" texts={view.warnings} />
    </>
  );
}

/** Approves or denies the request as it was shown. */
function Decision(
  { view, onDecided }: { readonly view: RequestView; readonly onDecided: () => void },
): ReactElement {
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  const decide = async (create: () => Promise<CsrDecision>): Promise<void> => {
    setBusy(true);
    setFault(undefined);
    try {
      const seen = { uid: view.uid, resourceVersion: view.resourceVersion };
      await decideOne(cluster.api, view.name, await create(), { clock }, new AbortController().signal, seen);
      onDecided();
    } catch (error) {
      setFault(describeFailure(error));
    } finally {
      setBusy(false);
    }
  };
  const { signal } = new AbortController();
  return (
    <SectionBox title="Decision">
      <p>
        <Button
          variant="contained"
          disabled={isBusy}
          onClick={() => void decide(() => createApproval(cluster.api, TOOL, signal))}
        >
          Approve
        </Button>
      </p>
      <p>
        <TextField
          label="Reason of a denial"
          value={reason}
          onChange={({ target }) => setReason(target.value)}
          inputProps={{ maxLength: MAX_REASON_LENGTH }}
        />{" "}
        <Button
          variant="outlined"
          color="error"
          disabled={isBusy || reason.trim() === ""}
          onClick={() => void decide(() => createDenial(cluster.api, TOOL, signal, { message: reason.trim() }))}
        >
          Deny
        </Button>
      </p>
      {fault === undefined ? null : <p role="alert">{escapeUnseen(fault)}</p>}
    </SectionBox>
  );
}

function Details({ view }: { readonly view: RequestView }): ReactElement {
  const { requested, requester, lastCertificate: last, certificate, difference } = view;
  const { token } = requester;
  return (
    <>
      <Section title="What the certificate would allow" isShown={view.allows.length > 0}>
        <TextList texts={view.allows} />
      </Section>
      <Section title="What the rules say" isShown={view.verdict !== undefined}>
        <p>{escapeUnseen(view.verdict?.text ?? "")}</p>
        <p>{escapeUnseen(view.origin === undefined ? "" : `Rules: ${view.origin}`)}</p>
        <TextList title="What would change it" texts={view.changes} />
        {view.rules.map((rule, index) => <Rule key={index} rule={rule} />)}
      </Section>
      <Section title="Requester">
        <Facts
          facts={[
            ["Requester", requester.text],
            ["User", requester.user],
            ["Groups", requester.groups.join(", ")],
            ["Address", requester.address],
            ["Program", requester.userAgent],
            ["Token", token === undefined ? undefined : `${token.id}${token.isGone === true ? ", which is gone" : ""}`],
            ["Token made", formatMoment(token?.createdAt)],
            ["Token made by", token?.createdBy],
            ["Token expires", formatMoment(token?.expiresAt)],
            ["Token is for", token?.description],
            ["Token is for node", token?.node],
            ["Token's uses left", token?.usesLeft?.toString()],
          ]}
        />
      </Section>
      <Section title="Requested certificate">
        <Facts
          facts={[
            ["Signer", requested.signerName],
            ["Cannot be read", requested.unreadable],
            ["Subject", requested.subject],
            ["Other attributes", requested.otherAttributes.join(", ")],
            ["DNS names", requested.dnsNames.join(", ")],
            ["IP addresses", requested.ipAddresses.join(", ")],
            ["URIs", requested.uris.join(", ")],
            ["Email addresses", requested.emails.join(", ")],
            ["Usages", requested.usages.join(", ")],
            ["Lifetime", requested.lifetime ?? "as the signer decides"],
            ["Key", requested.key],
            ["SHA-256 of the key", requested.keyFingerprint],
            ["Signature", requested.signatureFault ?? requested.signatureAlgorithm],
            ["Extensions", requested.extensions.join(", ")],
          ]}
        />
        <TextList
          title="What the signer demands"
          texts={view.signerRules.map(({ sentence, fault }) =>
            fault === undefined ? sentence : `${sentence}: ${fault}`
          )}
        />
      </Section>
      <Section title="The certificate before" isShown={last !== undefined}>
        <Facts
          facts={[
            ["Serial number", last?.serialNumber],
            ["State", last?.state],
            ["Ends", formatMoment(last?.notAfter)],
            ["Key", last?.isSameKey === undefined ? undefined : last.isSameKey ? "the same" : "another one"],
            ["Requested by", last?.requestedBy],
            ["Address", last?.address],
          ]}
        />
        <Rows
          columns={["What", "Before", "Now"]}
          rows={(difference ?? []).map(({ what, before, now }) => [what, before, now])}
          empty="The request asks for the same again."
        />
      </Section>
      <Section title="Other open requests for the same" isShown={view.others !== undefined}>
        <Rows
          columns={["Name", "State", "For", "Key", "Requested by", "Requested"]}
          rows={(view.others ?? []).map(({ name, state, shares, sameKey, requestedBy, createdAt }) => [
            name,
            state,
            shares,
            sameKey ? "the same" : "another one",
            requestedBy,
            formatMoment(createdAt),
          ])}
          empty="There is no other one."
        />
      </Section>
      <Section title="What has happened" isShown={view.conditions.length > 0}>
        <TextList
          texts={[
            ...view.conditions.map(({ type, status, since, reason, message }) =>
              [status === "True" ? type : `${type} is ${status}`, formatMoment(since), reason, message]
                .filter((text) => text !== "").join(", ")
            ),
            ...(view.decision === undefined ? [] : [
              `The server recorded: ${view.decision.type} by ${view.decision.user}` +
              (view.decision.address === undefined ? "" : ` from ${view.decision.address}`),
            ]),
          ]}
        />
      </Section>
      <Section title="The certificate" isShown={certificate !== undefined}>
        {certificate?.unreadable === true ? <p>It cannot be read.</p> : (
          <Facts
            facts={[
              ["Subject", certificate?.subject],
              ["Issuer", certificate?.issuer],
              ["Serial number", certificate?.serialNumber],
              ["Begins", formatMoment(certificate?.notBefore)],
              ["Ends", formatMoment(certificate?.notAfter)],
            ]}
          />
        )}
      </Section>
    </>
  );
}

function Section(
  { title, isShown = true, children }: {
    readonly title: string;
    readonly isShown?: boolean;
    readonly children: ReactNode;
  },
): ReactElement | null {
  return isShown ? <SectionBox title={title}>{children}</SectionBox> : null;
}

/** A table of names and values; a value that is not known has no row. */
function Facts({ facts }: { readonly facts: readonly (readonly [string, string | undefined])[] }): ReactElement {
  const known = facts.filter(([, value]) => value !== undefined && value !== "");
  return <NameValueTable rows={known.map(([name, value]) => ({ name, value: escapeUnseen(value ?? "") }))} />;
}

function Rows(
  { columns, rows, empty }: {
    readonly columns: readonly string[];
    readonly rows: readonly (readonly string[])[];
    readonly empty: string;
  },
): ReactElement {
  return (
    <SimpleTable
      columns={columns.map((label, at) => ({ label, getter: (row: readonly string[]) => escapeUnseen(row[at] ?? "") }))}
      data={rows}
      emptyMessage={empty}
    />
  );
}

function TextList(
  { title, texts }: { readonly title?: string; readonly texts: readonly string[] },
): ReactElement | null {
  if (texts.length === 0) return null;
  return (
    <>
      {title === undefined ? null : <h3>{title}</h3>}
      <ul>{texts.map((text, index) => <li key={index}>{escapeUnseen(text)}</li>)}</ul>
    </>
  );
}

function Rule({ rule }: { readonly rule: RuleView }): ReactElement {
  return (
    <details>
      <summary>{escapeUnseen(`${rule.policy}, ${rule.rule}: ${rule.text}`)}</summary>
      <TextList
        texts={rule.checks.map(({ what, saw, outcome, fault, fix }) =>
          [
            `${outcome}: ${what}${saw === "" ? "" : `: ${saw}`}`,
            fault ?? "",
            fix === undefined ? "" : `to change it: ${fix}`,
          ].filter((text) => text !== "").join("; ")
        )}
      />
    </details>
  );
}
