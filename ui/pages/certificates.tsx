/** The certificates of the register, with filters, and the page of one of them. */
import { describeStoredProof } from "../../core/attestation/proof.ts";
import { parseSettingDuration } from "../../core/lib/duration.ts";
import { shellWord } from "../../core/lib/printable.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { findMachineOfRecord } from "../machines.ts";
import {
  compareRows,
  createSelector,
  describeRecordStatus,
  getSigner,
  RECORD_SOURCE_TEXT,
  type RecordOrder,
  type RecordRow,
  type RecordStatus,
} from "../../core/report/record_rows.ts";
import { findRecord } from "../../client/admin/records.ts";
import { formatFingerprint } from "../../core/report/words.ts";
import { Facts, Moment } from "../layout.tsx";
import type { UiContext, UiElement, UiPage } from "../page.ts";
import {
  CertificateTable,
  Commands,
  describeFoundRows,
  MachineLink,
  MissingNotes,
  SerialLink,
  StatusMark,
  takePage,
  TokenLink,
} from "../parts.tsx";
import { CERTIFICATES_LIVE, createNotFound, readCertificates } from "../sources.ts";

const STATUSES: readonly RecordStatus[] = ["valid", "replaced", "untrusted", "expired", "revoked"];
const WITHIN: readonly string[] = ["1d", "7d", "30d", "90d", "365d"];

const ORDERS: readonly (readonly [RecordOrder, string])[] = [
  ["issued", "newest first"],
  ["expires", "first to expire"],
  ["subject", "subject"],
  ["signer", "signer"],
  ["approved-by", "approver"],
];

export const certificatesPage: UiPage = {
  path: "/certificates",
  nav: "Certificates",
  live: CERTIFICATES_LIVE,
  async render(context) {
    const { query, now } = context;
    const { rows: all, missing, isRegister } = await readCertificates(context);
    const choice = readChoice(query);
    const isSelected = createChoiceSelector(choice, now);
    const order = choice.order === "issued" ? compareNewest : compareRows(choice.order);
    const found = all.filter(isSelected).sort(order);
    const { rows, pager } = takePage(found, "/certificates", query);
    return {
      title: "Certificates",
      body: (
        <>
          <p>
            <a href="/certificates/calendar">Expiry calendar</a>
          </p>
          <MissingNotes notes={missing} />
          <Filter
            query={query}
            choice={choice}
            signers={[...new Set(all.map(({ record }) => getSigner(record)))].sort()}
          />
          <div id="certificate-list" data-swap>
            <CertificateTable
              rows={rows}
              now={now}
              caption={describeFoundRows(found.length, all.length, "certificates")}
              empty="No certificate matches."
            />
            {pager}
          </div>
          {isRegister
            ? (
              <section aria-labelledby="terminal">
                <h2 id="terminal">In a terminal</h2>
                <Commands lines={[formatCommand(choice)]} flags={context.flags} />
              </section>
            )
            : ""}
        </>
      ),
    };
  },
};

/** The choices in the filters of the page. Empty texts select everything. */
interface Choice {
  readonly words: string;
  readonly signer: string;
  readonly status: RecordStatus | undefined;
  /** A duration such as `30d`. */
  readonly within: string;
  readonly requester: string;
  readonly token: string;
  readonly order: RecordOrder;
}

function readChoice(query: URLSearchParams): Choice {
  const read = (name: string) => (query.get(name) ?? "").trim();
  const within = read("within");
  return {
    words: read("q"),
    signer: read("signer"),
    status: STATUSES.find((one) => one === read("status")),
    within: WITHIN.includes(within) ? within : "",
    requester: read("requester"),
    token: read("token"),
    order: ORDERS.find(([order]) => order === read("order"))?.[0] ?? "issued",
  };
}

/** Creates the predicate of the filters: those of `get certificates`, and text in the subject or in a name. */
function createChoiceSelector(choice: Choice, now: Date): (row: RecordRow) => boolean {
  const within = parseSettingDuration(choice.within);
  const select = createSelector({
    expiresWithin: within.ok ? within.value : undefined,
    expired: choice.status === "expired",
    revoked: choice.status === "revoked",
    signer: choice.signer || undefined,
    subject: undefined,
    name: undefined,
    requester: choice.requester || undefined,
    token: choice.token || undefined,
    approvedBy: undefined,
    since: undefined,
  }, now);
  const words = choice.words.toLowerCase();
  return (row) =>
    select(row) && (choice.status === undefined || row.status === choice.status) &&
    (words === "" || contains(row, words));
}

function contains({ record: { spec } }: RecordRow, words: string): boolean {
  const { subject = "", serialNumber = "", dnsNames = [], ipAddresses = [], emailAddresses = [], uris = [] } = spec;
  return [subject, serialNumber, ...dnsNames, ...ipAddresses, ...emailAddresses, ...uris]
    .some((text) => text.toLowerCase().includes(words));
}

function compareNewest(a: RecordRow, b: RecordRow): number {
  return b.record.spec.sequence - a.record.spec.sequence;
}

/** Formats the command that lists the same certificates, as far as the command can choose them. */
function formatCommand({ words, signer, status, within, requester, token, order }: Choice): string {
  return [
    "tlsboot get certificates",
    signer === "" ? "" : `--signer ${shellWord(signer)}`,
    status === "expired" || status === "revoked" ? `--${status}` : "",
    within === "" ? "" : `--expires-within ${within}`,
    requester === "" ? "" : `--requester ${shellWord(requester)}`,
    token === "" ? "" : `--token ${shellWord(token)}`,
    order === "issued" ? "" : `--sort-by ${order}`,
    words === "" ? "" : `| grep -i ${shellWord(words)}`,
  ].filter((word) => word !== "").join(" ");
}

interface FilterProps {
  readonly query: URLSearchParams;
  readonly choice: Choice;
  readonly signers: readonly string[];
}

function Filter({ query, choice, signers }: FilterProps): UiElement {
  const options = (chosen: string, values: readonly (readonly [string, string])[]) =>
    values.map(([value, text]) => <option value={value} selected={value === chosen}>{text}</option>);
  const own = signers.filter((one) => one !== "");
  return (
    <form method="get" action="/certificates" class="filter" role="search">
      <div>
        <label for="q">Contains</label>
        <input id="q" name="q" type="search" value={query.get("q") ?? ""} />
      </div>
      <div>
        <label for="status">Status</label>
        <select id="status" name="status">
          {options(choice.status ?? "", [["", "all"], ...STATUSES.map((one) => [one, one] as const)])}
        </select>
      </div>
      <div>
        <label for="within">Expires within</label>
        <select id="within" name="within">
          {options(choice.within, [["", "any time"], ...WITHIN.map((one) => [one, one] as const)])}
        </select>
      </div>
      <div>
        <label for="signer">Signer</label>
        <select id="signer" name="signer">
          {options(choice.signer, [["", "all"], ...own.map((one) => [one, one] as const)])}
        </select>
      </div>
      <div>
        <label for="order">Order</label>
        <select id="order" name="order">{options(choice.order, ORDERS)}</select>
      </div>
      {choice.requester === "" ? "" : <input type="hidden" name="requester" value={choice.requester} />}
      {choice.token === "" ? "" : <input type="hidden" name="token" value={choice.token} />}
      <button type="submit">Show</button>
    </form>
  );
}

export const certificatePage: UiPage = {
  path: "/certificates/:serial",
  live: CERTIFICATES_LIVE,
  async render(context) {
    const { params: { serial = "" }, now } = context;
    const { rows, missing, isRegister } = await readCertificates(context);
    const row = rows.find(({ record }) => record.spec.serialNumber === serial.toLowerCase());
    if (row === undefined) {
      throw createNotFound(`the certificate "${serial}"`, "find it in the list of certificates");
    }
    const record = isRegister ? await readWhole(row, context) : row.record;
    const whole = { ...row, record };
    return {
      title: `Certificate ${serial.slice(0, 12)}`,
      body: (
        <>
          <MissingNotes notes={missing} />
          <div id="certificate" data-swap>
            <CertificateFacts row={whole} rows={rows} now={now} />
          </div>
          {isRegister && (row.status === "valid" || row.status === "replaced") ? <CertificateSteps row={whole} /> : ""}
        </>
      ),
    };
  },
};

/** Reads all fields of a record; lists keep only some. */
async function readWhole({ record }: RecordRow, context: UiContext): Promise<IssuedCertificate> {
  return await findRecord(context.connection.api, record.metadata.name ?? "", context.signal) ?? record;
}

function CertificateFacts(
  { row, rows, now }: { readonly row: RecordRow; readonly rows: readonly RecordRow[]; readonly now: Date },
): UiElement {
  const { record: { spec, status: { revocation }, metadata }, replacedBy } = row;
  const machine = findMachineOfRecord(row.record);
  const { requester, approval } = spec;
  const findSerial = (name: string | undefined) =>
    name === undefined ? undefined : rows.find(({ record }) => record.metadata.name === name)?.record.spec.serialNumber;
  const [before, after] = [findSerial(spec.replaces), findSerial(replacedBy)];
  const list = (values: readonly string[] | undefined) => values?.join(", ");
  const fingerprint = (hex: string | undefined) =>
    hex === undefined ? undefined : <code>{formatFingerprint(hex)}</code>;
  return (
    <>
      <p class="lead">
        <StatusMark status={row.status} /> {describeRecordStatus(row, now)}
      </p>
      <h2>Contents</h2>
      <Facts
        facts={[
          ["Subject", spec.subject ?? "none"],
          ["Machine", machine === undefined ? undefined : <MachineLink name={machine} />],
          ["DNS names", list(spec.dnsNames)],
          ["IP addresses", list(spec.ipAddresses)],
          ["Email addresses", list(spec.emailAddresses)],
          ["URIs", list(spec.uris)],
          ["Usages", `${list(spec.usages) ?? "unknown"}${spec.isCA === true ? ", as a CA" : ""}`],
          ["Valid from", spec.notBefore ?? "unknown"],
          [
            "Valid until",
            spec.notAfter === null ? "unknown" : (
              <>
                {spec.notAfter} (<Moment at={spec.notAfter} now={now} />)
              </>
            ),
          ],
          ["Issuer", spec.issuer],
          ["Serial number", spec.serialNumber === undefined ? undefined : <code>{spec.serialNumber}</code>],
          ["SHA-256", fingerprint(spec.fingerprint)],
          ["SHA-256 of its key", fingerprint(spec.publicKeyFingerprint)],
          ["Replaces", before === undefined ? undefined : <SerialLink serialNumber={before} />],
          ["Replaced by", after === undefined ? undefined : <SerialLink serialNumber={after} />],
        ]}
      />
      <h2>Origin</h2>
      <Facts
        facts={[
          [
            "Issued",
            `${spec.issuedAt ?? "unknown"}${spec.source === undefined ? "" : `, ${RECORD_SOURCE_TEXT[spec.source]}`}`,
          ],
          ["Signer", spec.signerName],
          ["Request", spec.request?.name],
          ["Requested by", requester?.username],
          ["Groups", list(requester?.groups)],
          ["Token", requester?.tokenID === undefined ? undefined : <TokenLink id={requester.tokenID} />],
          ["Proof", requester?.attested && describeStoredProof(requester.attested)],
          ["Address", requester?.address],
          ["Program", requester?.userAgent],
          ["Approved by", approval?.username],
          ["Approval", [approval?.reason ?? "", approval?.message ?? ""].filter((one) => one !== "").join(": ")],
          ["Approved at", approval?.time ?? undefined],
          ["Record", metadata.name],
        ]}
      />
      {revocation === undefined ? "" : (
        <>
          <h2>Revocation</h2>
          <Facts
            facts={[
              ["By", <a href={`/revocations/${encodeURIComponent(revocation.name)}`}>{revocation.name}</a>],
              ["Reason", revocation.reason],
              ["Message", revocation.message],
              ["User", revocation.revokedBy],
              ["Time", revocation.time ?? undefined],
            ]}
          />
        </>
      )}
    </>
  );
}

function CertificateSteps({ row: { record: { spec } } }: { readonly row: RecordRow }): UiElement {
  const { serialNumber = "", isCA = false, source } = spec;
  if (isCA || source === "ca") {
    return (
      <p>
        A CA is replaced instead of revoked: see <a href="/ca">CA</a>.
      </p>
    );
  }
  if (source === "serving") {
    return <p>The server creates a new certificate if the files of this one are missing when it starts.</p>;
  }
  return (
    <p>
      <a class="button" href={`/revoke?target=${encodeURIComponent(serialNumber)}`}>Revoke this certificate…</a>
    </p>
  );
}
