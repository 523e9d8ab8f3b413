/** The machines: their certificates, their last contact, and the tokens with which they joined. */
import { shellWord } from "../../core/lib/printable.ts";
import { isMachineUser, type KnownMachine, listMachines, type MachineState } from "../machines.ts";
import { DataTable, Facts, Moment } from "../layout.tsx";
import type { CommandFlags, UiContext, UiElement, UiPage } from "../page.ts";
import {
  CertificateTable,
  Commands,
  describeFoundRows,
  Links,
  ListFilter,
  MachineLink,
  MissingNotes,
  readListFilter,
  RequestLink,
  takePage,
  TokenLink,
} from "../parts.tsx";
import {
  CERTIFICATES_LIVE,
  createNotFound,
  LEASE_WATCH,
  type Missing,
  NODE_WATCH,
  readCertificates,
  readIfPossible,
  readTokens,
  TOKEN_WATCH,
  TRUST_REPORT_WATCH,
} from "../sources.ts";
import { REQUESTS } from "./requests.tsx";

const STATES: readonly MachineState[] = ["valid", "late", "untrusted", "expired", "revoked", "waiting", "none"];
const LIVE = [...CERTIFICATES_LIVE, NODE_WATCH.id, REQUESTS.id, TOKEN_WATCH.id];

export const machinesPage: UiPage = {
  path: "/machines",
  nav: "Machines",
  live: LIVE,
  async render(context) {
    const { query, now } = context;
    const { machines, missing } = await readMachines(context);
    const { chosen: state, words } = readListFilter(query, "state", STATES);
    const found = machines.filter((machine) =>
      (state === undefined || machine.state === state) && machine.name.toLowerCase().includes(words)
    );
    const { rows, pager } = takePage(found, "/machines", query);
    return {
      title: "Machines",
      body: (
        <>
          <div id="machine-count" role="status" aria-live="polite" data-swap>
            <p class="lead">{describeMachines(machines)}</p>
          </div>
          <MissingNotes notes={missing} />
          <ListFilter
            action="/machines"
            query={query}
            choice={{ name: "state", label: "State", values: STATES }}
            contains="Name contains"
          />
          <div id="machine-list" data-swap>
            <MachineTable
              rows={rows}
              now={now}
              caption={describeFoundRows(found.length, machines.length, "machines")}
            />
            {pager}
          </div>
        </>
      ),
    };
  },
};

export const machinePage: UiPage = {
  path: "/machines/:name",
  live: LIVE,
  async render(context) {
    const { params: { name = "" }, now } = context;
    const { machines, missing, isRegister } = await readMachines(context);
    const machine = machines.find((one) => one.name === name);
    if (machine === undefined) {
      throw createNotFound(`the machine "${name}"`, "no certificate, Node, request or token has this name");
    }
    return {
      title: `Machine ${name}`,
      body: (
        <>
          <MissingNotes notes={missing} />
          <div id="machine" data-swap>
            <MachineFacts machine={machine} now={now} />
            <h2>Certificates</h2>
            <CertificateTable
              rows={machine.certificates}
              now={now}
              caption={`Certificates of ${name}, the newest first`}
              empty="No certificate of this machine is known."
            />
          </div>
          <MachineSteps machine={machine} hasRevocations={isRegister} flags={context.flags} />
        </>
      ),
    };
  },
};

interface KnownMachines {
  readonly machines: readonly KnownMachine[];
  readonly missing: readonly (Missing | undefined)[];
  readonly isRegister: boolean;
}

async function readMachines(context: UiContext): Promise<KnownMachines> {
  const [certificates, nodes, leases, requests, reports, { tokens, missing }] = await Promise.all([
    readCertificates(context),
    readIfPossible(context, NODE_WATCH, "nodes"),
    readIfPossible(context, LEASE_WATCH, "leases of kubelets"),
    readIfPossible(context, REQUESTS, "certificate signing requests"),
    readIfPossible(context, TRUST_REPORT_WATCH, "reports of trusted CAs"),
    readTokens(context),
  ]);
  const machines = listMachines({
    rows: certificates.rows,
    nodes: nodes.entries.values(),
    leases: new Map([...leases.entries].map(([key, time]) => [key.slice(key.indexOf("/") + 1), time])),
    requests: [...requests.entries.values()].flatMap(({ name, node, createdAt, state, username }) =>
      node === undefined
        ? []
        : [{ name, node, createdAt, isPending: state === "pending", isOwn: isMachineUser(username, node) }]
    ),
    seenUsers: new Map([...reports.entries.values()].map(({ username, at }) => [username, at])),
    tokens: tokens.map(({ id, node, lastUse }) => ({ id, node, lastUseAt: lastUse?.time })),
    now: context.now,
  });
  // Where there is no register, there are no reports either: one note is enough.
  const reportsMissing = certificates.isRegister ? reports.missing : undefined;
  return {
    machines,
    missing: [...certificates.missing, nodes.missing, leases.missing, reportsMissing, missing],
    isRegister: certificates.isRegister,
  };
}

function MachineTable(
  { rows, now, caption }: { readonly rows: readonly KnownMachine[]; readonly now: Date; readonly caption: string },
): UiElement {
  return (
    <DataTable
      caption={caption}
      rows={rows}
      empty="No machine matches."
      columns={[
        { heading: "State", cell: (machine) => <StateMark machine={machine} /> },
        { heading: "Machine", cell: ({ name }) => <MachineLink name={name} /> },
        { heading: "Certificate expires", cell: ({ expiresAt }) => <Moment at={expiresAt} now={now} /> },
        { heading: "Last contact", cell: ({ lastContact }) => <Contact contact={lastContact} now={now} /> },
        {
          heading: "Token",
          cell: ({ tokenID }) => tokenID === undefined ? "–" : <TokenLink id={tokenID} />,
        },
        { heading: "Certificates", cell: ({ certificates }) => String(certificates.length) },
      ]}
    />
  );
}

const STATE_CLASS: Readonly<Record<MachineState, string>> = {
  valid: "good",
  late: "wait",
  untrusted: "bad",
  expired: "bad",
  revoked: "bad",
  waiting: "wait",
  none: "faint",
};

function StateMark({ machine: { state, stateText } }: { readonly machine: KnownMachine }): UiElement {
  return <span class={`state ${STATE_CLASS[state]}`}>{stateText}</span>;
}

function Contact(
  { contact, now }: { readonly contact: KnownMachine["lastContact"]; readonly now: Date },
): UiElement {
  if (contact === undefined) return <span>unknown</span>;
  return (
    <span>
      <Moment at={contact.at} now={now} />, {contact.how}
    </span>
  );
}

function MachineFacts({ machine, now }: { readonly machine: KnownMachine; readonly now: Date }): UiElement {
  const { node, expiresAt, lastContact, tokenID, proof, boundTokens, pending } = machine;
  return (
    <Facts
      facts={[
        ["State", <StateMark machine={machine} />],
        ["Client certificate expires", expiresAt === undefined ? undefined : <Moment at={expiresAt} now={now} />],
        ["Last contact", <Contact contact={lastContact} now={now} />],
        ["Node", describeNode(node)],
        [
          "Joined with",
          tokenID === undefined ? undefined : (
            <>
              token <TokenLink id={tokenID} />
            </>
          ),
        ],
        ["Proof of identity", proof],
        [
          "Tokens for this machine only",
          boundTokens.length === 0 ? undefined : <Links links={boundTokens.map((id) => <TokenLink id={id} />)} />,
        ],
        [
          "Pending requests",
          pending.length === 0 ? undefined : <Links links={pending.map((name) => <RequestLink name={name} />)} />,
        ],
      ]}
    />
  );
}

function describeNode(node: KnownMachine["node"]): string {
  if (node === undefined) return "the API has no Node of this name";
  if (node.isReady === undefined) return "registered; its kubelet has not reported yet";
  return node.isReady ? "registered, ready" : "registered, not ready";
}

function MachineSteps(
  { machine: { name, state, node, revocable }, hasRevocations, flags }: {
    readonly machine: KnownMachine;
    readonly hasRevocations: boolean;
    readonly flags: CommandFlags;
  },
): UiElement {
  const word = shellWord(name);
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">Next steps</h2>
      {hasRevocations && state !== "revoked" && state !== "none" && state !== "waiting"
        ? (
          <p>
            Was it stolen or given away? {revocable.map((target) => (
              <>
                <a href={`/revoke?target=${encodeURIComponent(target)}`}>Revoke all certificates of {target}</a>
                {" "}
              </>
            ))}
          </p>
        )
        : ""}
      {node !== undefined || !revocable.some((target) => target.startsWith("user/"))
        ? (
          <>
            <p>
              To give the machine a new certificate, for example after a reinstallation, create a token in a terminal:
            </p>
            <Commands lines={[`tlsboot token create --node ${word} -o command`]} flags={flags} />
          </>
        )
        : ""}
    </section>
  );
}

function describeMachines(machines: readonly KnownMachine[]): string {
  if (machines.length === 0) return "No machine is known.";
  const overdue =
    machines.filter(({ state }) => state === "late" || state === "expired" || state === "untrusted").length;
  const all = machines.length === 1 ? "One machine is known" : `${machines.length} machines are known`;
  if (overdue === 0) return `${all}.`;
  return `${all}; ${overdue === 1 ? "one needs" : `${overdue} need`} attention, because a renewal is overdue.`;
}
