/**
 * The trusted CAs, from the places where an installation publishes them, and the rotations of CAs: the servers, the
 * census, and the commands for the next step.
 */
import { readCa } from "../../client/transport/connect.ts";
import { isAppError } from "../../core/errors.ts";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { clusterTrustBundleKind } from "../../core/kube/kinds/mod.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import type { CaRotation, CaRotationServer } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, CLUSTER_INFO_PATH } from "../../core/token/cluster_info.ts";
import { parseJoinTarget } from "../../core/token/join_material.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { isInProgress } from "../../core/ca_rotation/rotation_rules.ts";
import { type CensusRow, describeState } from "../../core/ca_rotation/census.ts";
import { formatRotateCommand, isEveryoneReady, sortServers } from "../../core/ca_rotation/steps.ts";
import { formatKey } from "../../core/pki/keys/key_names.ts";
import type { UiWatch } from "../data.ts";
import { DataTable, Facts, Moment } from "../layout.tsx";
import type { CommandFlags, UiContext, UiElement, UiPage } from "../page.ts";
import { addFlags, Commands, MachineLink, MissingNotes } from "../parts.tsx";
import {
  explainMissing,
  type Missing,
  readCertificates,
  readIfPossible,
  RECORD_WATCH,
  ROTATION_WATCH,
} from "../sources.ts";
import { readCensus } from "../../client/admin/ca_rotations.ts";
import { describeCa, describeCounts, describeStep, listNextCommands } from "../../core/report/ca_rotation.ts";
import { formatFingerprint } from "../../core/report/words.ts";
import type { RecordRow } from "../../core/report/record_rows.ts";
import { CLIENT_CA_PATH } from "../../client/objects/read_client_trust.ts";

const TRUST_BUNDLES: UiWatch<ClusterTrustBundle, PublishedCas> = {
  id: "trust bundles",
  kind: clusterTrustBundleKind,
  keep: ({ metadata, spec }) => {
    const signer = spec.signerName ?? "";
    return {
      purpose: signer === "" ? `the bundle ${metadata.name ?? ""}` : `certificates of ${signer}`,
      pem: spec.trustBundle,
    };
  },
};

/** The page of the CAs and their rotations. */
export const caPage: UiPage = {
  path: "/ca",
  nav: "CA",
  live: [ROTATION_WATCH.id, TRUST_BUNDLES.id, RECORD_WATCH.id],
  async render(context) {
    const { now } = context;
    const [certificates, rotations, bundles, published] = await Promise.all([
      readCertificates(context),
      readIfPossible(context, ROTATION_WATCH, "rotations of CAs"),
      readIfPossible(context, TRUST_BUNDLES, "ClusterTrustBundles, which Kubernetes serves since 1.37"),
      readPublished(context),
    ]);
    const places = [...published.places, ...bundles.entries.values()];
    const { authorities, faults } = listAuthorities(places, certificates.rows);
    const reports = await readReports([...rotations.entries.values()], context);
    return {
      title: "CA",
      body: (
        <>
          <MissingNotes
            notes={[...certificates.missing, ...published.missing, bundles.missing, rotations.missing]}
          />
          <div id="authorities" data-swap>
            {faults.map((fault) => <p class="notice fault">{fault}</p>)}
            <Authorities authorities={authorities} isRegister={certificates.isRegister} now={now} />
          </div>
          <div id="rotations" data-swap>
            <h2>Rotation</h2>
            {reports.map((report) => <Rotation report={report} now={now} flags={context.flags} />)}
            {reports.some(({ rotation }) => isInProgress(rotation))
              ? ""
              : <RotationHelp isServed={rotations.missing === undefined} flags={context.flags} />}
          </div>
        </>
      ),
    };
  },
};

/** Reads the CAs that the API publishes for clients and for machines. */
async function readPublished(
  { connection: { api, cluster, files }, signal }: UiContext,
): Promise<{ readonly places: readonly PublishedCas[]; readonly missing: readonly Missing[] }> {
  const missing: Missing[] = [];
  const read = async (path: string, what: string): Promise<ConfigMap | undefined> => {
    try {
      return await api.requestObject<ConfigMap>({ method: "GET", path }, signal);
    } catch (error) {
      signal.throwIfAborted();
      const isAbsent = isAppError(error, "not_found");
      missing.push({ what, why: isAbsent ? "there is no such ConfigMap" : explainMissing(error) });
      return undefined;
    }
  };
  const info = await read(CLUSTER_INFO_PATH, `the CA for the server (${CLUSTER_INFO_NAMESPACE}/${CLUSTER_INFO_NAME})`);
  const accepted = await read(CLIENT_CA_PATH, "the CAs for clients (extension-apiserver-authentication)");
  const own = cluster.ca === undefined ? undefined : await readCa(cluster.ca, files);
  const target = info === undefined ? undefined : parseJoinTarget(info);
  const clientCas = accepted?.data?.["client-ca-file"];
  return {
    places: [
      ...(own === undefined ? [] : [{ purpose: "the API server", pem: own }]),
      ...(target?.ok === true ? [{ purpose: "the API server", pem: target.value.caPem }] : []),
      ...(clientCas === undefined ? [] : [{ purpose: "clients of the API", pem: clientCas }]),
    ],
    missing,
  };
}

function Authorities(
  { authorities, isRegister, now }: {
    readonly authorities: readonly TrustedAuthority[];
    readonly isRegister: boolean;
    readonly now: Date;
  },
): UiElement {
  return (
    <DataTable
      caption="Trusted CA certificates, first to expire first"
      rows={authorities}
      empty="No CA is published where you may read it."
      columns={[
        { heading: "CA", cell: ({ certificate }) => formatName(certificate.subject) },
        { heading: "Trusted for", cell: ({ purposes }) => purposes.join(", ") },
        { heading: "Expires", cell: ({ certificate }) => <Moment at={certificate.notAfter} now={now} /> },
        { heading: "Valid certificates", cell: ({ issued }) => isRegister ? String(issued) : "unknown" },
        { heading: "Key", cell: ({ certificate }) => formatKey(certificate) },
        {
          heading: "SHA-256",
          cell: ({ certificate }) => <code>{formatFingerprint(certificate.sha256Fingerprint)}</code>,
        },
      ]}
    />
  );
}

interface Report {
  readonly rotation: CaRotation;
  readonly rows: readonly CensusRow[];
  /** Why there is no census; undefined when there is one. */
  readonly fault: string | undefined;
}

async function readReports(rotations: readonly CaRotation[], context: UiContext): Promise<readonly Report[]> {
  const { connection: { api }, io, signal } = context;
  const reports: Report[] = [];
  for (const rotation of rotations) {
    if (!isInProgress(rotation)) {
      reports.push({ rotation, rows: [], fault: undefined });
      continue;
    }
    try {
      reports.push({ rotation, rows: await readCensus(api, rotation, io.clock, signal), fault: undefined });
    } catch (error) {
      signal.throwIfAborted();
      reports.push({ rotation, rows: [], fault: explainMissing(error) });
    }
  }
  return reports;
}

function Rotation(
  { report: { rotation, rows, fault }, now, flags }: {
    readonly report: Report;
    readonly now: Date;
    readonly flags: CommandFlags;
  },
): UiElement {
  const name = getName(rotation);
  const { oldCA, newCA, renewBy, step } = rotation.spec;
  const { adopted, pending, down } = sortServers(rotation, now);
  const servers = [
    ...adopted.map((server) => ({ server, state: `has adopted ${step}` })),
    ...pending.map((server) => ({ server, state: server.message ?? `has not adopted ${step} yet` })),
    ...down.map((server) => ({ server, state: "not seen for some minutes; it follows when it starts" })),
  ];
  const waiting = rows.filter(({ state }) => state !== "ready");
  const isReady = adopted.length > 0 && adopted.length === servers.length && isEveryoneReady(rows);
  return (
    <section aria-labelledby={`rotation-${name}`}>
      <h3 id={`rotation-${name}`}>{`Replacement of ${name}`}</h3>
      <p class="lead">{`It ${describeStep(rotation)}.`}</p>
      <Facts
        facts={[
          ["Old CA", describeCa(oldCA)],
          ["New CA", describeCa(newCA)],
          ["Nodes renew by", isInProgress(rotation) ? renewBy ?? undefined : undefined],
          ["Machines and users", isInProgress(rotation) ? fault ?? describeCounts(rows) : undefined],
        ]}
      />
      <Servers servers={servers} now={now} />
      {isInProgress(rotation)
        ? (
          <>
            <Census rows={waiting} now={now} flags={flags} />
            <h4>Next step, in a terminal</h4>
            <Commands
              lines={listNextCommands((verb) => formatRotateCommand(verb, name), rotation, isReady)}
              flags={flags}
            />
          </>
        )
        : ""}
    </section>
  );
}

function Servers(
  { servers, now }: {
    readonly servers: readonly { readonly server: CaRotationServer; readonly state: string }[];
    readonly now: Date;
  },
): UiElement {
  return (
    <DataTable
      caption="Servers"
      rows={servers}
      empty="No server follows the rotation."
      columns={[
        { heading: "Server", cell: ({ server }) => server.name },
        { heading: "State", cell: ({ state }) => state },
        { heading: "Last report", cell: ({ server }) => <Moment at={server.time ?? undefined} now={now} /> },
      ]}
    />
  );
}

/** The largest number of machines and users in the table; the command lists all. */
const MAX_CENSUS = 200;

function Census(
  { rows, now, flags }: {
    readonly rows: readonly CensusRow[];
    readonly now: Date;
    readonly flags: CommandFlags;
  },
): UiElement {
  return (
    <DataTable
      caption={rows.length > MAX_CENSUS
        ? `The first ${MAX_CENSUS} of ${rows.length} machines and users that are not ready. All: ${
          addFlags("tlsboot ca rotate status", flags)
        } -o wide`
        : "Machines and users that are not ready"}
      rows={rows.slice(0, MAX_CENSUS)}
      empty="Every machine and user is ready."
      columns={[
        { heading: "Name", cell: ({ kind, name }) => kind === "node" ? <MachineLink name={name} /> : name },
        { heading: "Kind", cell: ({ kind }) => kind },
        { heading: "State", cell: (row) => `${describeState(row)}${row.isLeftBehind ? " (left behind)" : ""}` },
        {
          heading: "Last seen",
          cell: ({ lastSeen }) => <Moment at={lastSeen === undefined ? undefined : formatTime(lastSeen)} now={now} />,
        },
        {
          heading: "Command",
          cell: ({ command }) => command === undefined ? "–" : <code>{addFlags(command, flags)}</code>,
        },
      ]}
    />
  );
}

function RotationHelp(
  { isServed, flags }: { readonly isServed: boolean; readonly flags: CommandFlags },
): UiElement {
  if (!isServed) {
    return (
      <p>
        For the CA of another API server, see <code>tlsboot guide new_ca</code>.
      </p>
    );
  }
  return (
    <>
      <p>No CA is being replaced. Replace one before it expires, or when its key may have leaked:</p>
      <Commands lines={["tlsboot ca rotate begin"]} flags={flags} />
    </>
  );
}

/** CA certificates that are published for a purpose. */
interface PublishedCas {
  /** The use of certificates of these CAs, such as `clients of the API`. */
  readonly purpose: string;
  /** PEM of the CA certificates. */
  readonly pem: string;
}

/** One CA certificate, and what trusts it. */
interface TrustedAuthority {
  readonly certificate: CertificateFacts;
  /** The uses of certificates of this CA. */
  readonly purposes: readonly string[];
  /** The number of valid certificates that it has issued, as far as they are known. */
  readonly issued: number;
}

/** The CAs, first to expire first, and a message for each bundle that cannot be parsed. */
interface TrustedAuthorities {
  readonly authorities: readonly TrustedAuthority[];
  readonly faults: readonly string[];
}

/** Lists each CA certificate once, with everything that trusts it. */
export function listAuthorities(places: readonly PublishedCas[], rows: Iterable<RecordRow>): TrustedAuthorities {
  const found = new Map<string, { readonly certificate: CertificateFacts; readonly purposes: Set<string> }>();
  const faults: string[] = [];
  for (const { purpose, pem } of places) {
    const bundle = parseCaBundle(pem);
    if (!bundle.ok) {
      faults.push(`the CAs for ${purpose} cannot be read: ${bundle.error}`);
      continue;
    }
    for (const certificate of bundle.value) {
      const known = found.get(certificate.sha256Fingerprint) ?? { certificate, purposes: new Set<string>() };
      known.purposes.add(purpose);
      found.set(certificate.sha256Fingerprint, known);
    }
  }
  const issued = new Map<string, number>();
  for (const { record: { spec: { issuerFingerprint = "" } }, status } of rows) {
    if (status === "valid") issued.set(issuerFingerprint, (issued.get(issuerFingerprint) ?? 0) + 1);
  }
  const authorities = [...found.values()].map(({ certificate, purposes }) => ({
    certificate,
    purposes: [...purposes],
    issued: issued.get(certificate.sha256Fingerprint) ?? 0,
  }));
  authorities.sort((a, b) => a.certificate.notAfter.getTime() - b.certificate.notAfter.getTime());
  return { authorities, faults };
}
