/** All scenarios of the two tables, in their order. `docs/engineering/measurements.md` says what each line means. */
import { AS_SHIPPED, type Grounds, onEtcd, withServers } from "../grounds.ts";
import { LIFTED } from "../peer_instance.ts";
import { atMost, atMostTimes, type Scenario } from "../scenario.ts";
import { firstCertificateScenario } from "./first_certificate.ts";
import { httpSigningScenario, nodeSigningScenario } from "./http_signing.ts";
import { oneThreadScenario, revocationScenario } from "./one_thread.ts";
import { recordsScenario } from "./records.ts";
import { getScenario, versionScenario } from "./starts.ts";
import { storedScenario } from "./stored.ts";
import { stormScenario } from "./storm.ts";
import { uiPageScenario } from "./ui_page.ts";

/** Servers on an etcd: one, and as many as an instance has that is to lose one. */
const ON_ETCD = [1, 3] as const;

/** Creates the scenarios of the first table, with each side as it ships; a scale below 1 is for a trial. */
export function createScenarios(node: string, scale: number): readonly Scenario[] {
  const scaled = toScaled(scale);
  return [
    versionScenario(node),
    getScenario(node),
    firstCertificateScenario(AS_SHIPPED),
    stormScenario({
      grounds: AS_SHIPPED,
      nodes: scaled(200),
      peer: "control plane, as it ships",
      controllerFlags: [],
      aim: FEW_NODES,
    }),
    ...liftedStorms(AS_SHIPPED, scaled),
    storedScenario({ grounds: AS_SHIPPED, ...countStored(scaled) }),
    recordsScenario(scaled(100_000)),
    uiPageScenario(scaled(10_000)),
    oneThreadScenario(node, scaled(5000)),
    revocationScenario(node, scaled(200)),
    httpSigningScenario(scaled(2000)),
  ];
}

/**
 * Creates the scenarios that depend on storage, on etcd. The peer's limits are lifted, because they would be measured
 * otherwise.
 */
export function createEtcdScenarios(scale: number): readonly Scenario[] {
  const scaled = toScaled(scale);
  return ON_ETCD.flatMap((servers) => {
    const grounds = onEtcd(servers);
    return [
      firstCertificateScenario(grounds),
      ...liftedStorms(grounds, scaled),
      storedScenario({ grounds, ...countStored(scaled) }),
      nodeSigningScenario(grounds, scaled(2000)),
    ].map((scenario) => withServers(servers, scenario));
  });
}

type Scaled = (count: number) => number;

function toScaled(scale: number): Scaled {
  return (count) => Math.max(1, Math.round(count * scale));
}

const FEW_NODES = atMost(1.5, "under 1.5 s");

function liftedStorms(grounds: Grounds, scaled: Scaled): readonly Scenario[] {
  return ([[200, FEW_NODES], [1000, atMostTimes(grounds.aims.storm)]] as const).map(([nodes, aim]) =>
    stormScenario({
      grounds,
      nodes: scaled(nodes),
      peer: "control plane, limits lifted",
      controllerFlags: LIFTED,
      aim,
    })
  );
}

function countStored(scaled: Scaled): { readonly requests: number; readonly connections: number } {
  return { requests: scaled(10_000), connections: scaled(1000) };
}

/** Reports whether a line of a scenario has all of these words, each as a whole. */
export function isWanted(scenario: Scenario, words: readonly string[]): boolean {
  return Object.values(scenario.lines).some(({ what, peer }) => {
    const had = `${what} ${peer}`.split(/[\s,]+/);
    return words.every((word) => had.includes(word));
  });
}
