/** One request: the view that `tlsboot describe csr`, `tlsboot review` and `tlsboot ui` show too, and the decision. */
import { type ReactElement, useState } from "react";
import { csrPath } from "../../../cli/api/csrs.ts";
import { createApproval, createDenial, type CsrDecision, decideOne } from "../../../cli/api/decisions.ts";
import { readApproverSettings } from "../../../cli/api/published_settings.ts";
import { createRequestViews } from "../../../cli/api/request_views.ts";
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { escapeUnseen } from "../../../core/lib/printable.ts";
import { type FactSection, type FactValue, listFactSections } from "../../../core/review/request_facts.ts";
import { capitalize } from "../../../core/review/words.ts";
import type { RequestView, RuleView } from "../../../core/review/request_view.ts";
import { clock, cluster } from "./cluster.ts";
import { formatMoment, RequestLink, StateLabel } from "./list.tsx";
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
      {view === undefined
        ? null
        : listFactSections(view).map((section) => <Section key={section.title} section={section} />)}
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
      <p>{escapeUnseen(`${capitalize(view.sentence)}.`)}</p>
      <p>
        <StateLabel state={view.state} text={view.stateText} /> {formatMoment(view.createdAt)}
      </p>
      {view.unsigned === undefined ? null : <p>{escapeUnseen(view.unsigned)}</p>}
      <TextList title="Warnings" texts={view.warnings} />
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

function Section({ section }: { readonly section: FactSection }): ReactElement {
  const { title, paragraphs = [], facts, lists = [], rules = [], table } = section;
  return (
    <SectionBox title={title}>
      {paragraphs.map((text, index) => <p key={index}>{escapeUnseen(text)}</p>)}
      {facts === undefined
        ? null
        : <NameValueTable rows={facts.map(([name, value]) => ({ name, value: <Value value={value} /> }))} />}
      {lists.map((list, index) => <TextList key={index} {...list} />)}
      {rules.map((rule, index) => <Rule key={index} rule={rule} />)}
      {table === undefined ? null : (
        <SimpleTable
          columns={table.columns.map((label, at) => ({
            label,
            getter: (row: readonly FactValue[]) => <Value value={row[at] ?? ""} />,
          }))}
          data={table.rows}
          emptyMessage={table.empty}
        />
      )}
    </SectionBox>
  );
}

function Value({ value }: { readonly value: FactValue }): ReactElement {
  if (typeof value === "string") return <>{escapeUnseen(value)}</>;
  if ("time" in value) return <>{formatMoment(value.time)}</>;
  return <RequestLink name={value.request} />;
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
