/** Plays scenes before two servers and notes where their answers differ. */
import type { Difference } from "../comparison/compare.ts";
import type { CorpusFile, Exchange } from "../comparison/corpus.ts";
import { buildFixtures, openSessions, preparePair, replayExchange } from "../comparison/replay.ts";
import type { Pair } from "../comparison/sides.ts";
import type { Variables } from "../comparison/variables.ts";
import { createScene, FIXTURES, LANES, type Scene } from "./scenes.ts";

/** Answers to one exchange that differ. */
export interface Finding {
  readonly scene: Scene;
  /** Place of the exchange in the scene. */
  readonly at: number;
  readonly exchange: Exchange;
  /** Status of each side; 0 where there was no answer. */
  readonly statuses: readonly [number, number];
  readonly differences: readonly Difference[];
}

export interface Played {
  /** The number of exchanges that were compared. */
  readonly compared: number;
  readonly findings: readonly Finding[];
}

/** A pair that is ready, and a count of the replays, so that each has names of its own. */
export class Stage {
  #replays = 0;
  readonly #pair: Pair;
  readonly #fixtures: Variables;

  private constructor(pair: Pair, fixtures: Variables) {
    this.#pair = pair;
    this.#fixtures = fixtures;
  }

  /** Gives both servers what the scenes need of them. */
  static async open(pair: Pair): Promise<Stage> {
    await preparePair(pair);
    return new Stage(pair, await buildFixtures(FIXTURES));
  }

  /** Plays the scenes of a seed, beginning with this one, until so many exchanges were compared. */
  async playMany(seed: number, count: number, first = 0): Promise<Played> {
    const lanes = Array.from({ length: LANES }, () => 0);
    let compared = 0;
    const findings: Finding[] = [];
    await Promise.all(lanes.map(async (_, lane) => {
      // Each lane takes its share, so that which scenes are played does not depend on the speed of the servers.
      let own = 0;
      for (let index = first + lane; own < count / LANES; index += LANES) {
        const played = await this.play(createScene(seed, index));
        own += played.compared;
        compared += played.compared;
        findings.push(...played.findings);
      }
    }));
    return { compared, findings: findings.toSorted((a, b) => a.scene.index - b.scene.index || a.at - b.at) };
  }

  /**
   * Plays one scene. It ends with an exchange that only one of the servers may have carried out: from there on they have
   * different objects.
   */
  async play(scene: Scene): Promise<Played> {
    this.#replays++;
    const name = `d${String(this.#replays).padStart(5, "0")}`;
    const file = asCorpusFile(scene, name);
    const variables = { ...this.#fixtures, scene: name, rv: "1", uid: "a", more: "x" };
    const sessions = await openSessions(this.#pair, file, variables);
    const findings: Finding[] = [];
    for (const exchange of scene.setup) await replayExchange(sessions, file, exchange, []);
    for (const [at, exchange] of scene.exchanges.entries()) {
      const { statuses, differences } = await this.#compare(sessions, file, exchange);
      if (differences.length === 0) continue;
      findings.push({ scene, at, exchange, statuses, differences });
      const isRead = /^(GET|HEAD) /.test(exchange.send);
      if (!isRead && statuses.some((status) => status < 400)) return { compared: at + 1, findings };
    }
    return { compared: scene.exchanges.length, findings };
  }

  /** Plays the scenes of findings alone, and returns the findings that show again: the others were chance. */
  async confirm(findings: readonly Finding[]): Promise<readonly Finding[]> {
    const again: Finding[] = [];
    for (const finding of findings) {
      const { findings: seen } = await this.play(finding.scene);
      if (seen.some(({ at }) => at === finding.at)) again.push(finding);
    }
    return again;
  }

  async #compare(
    sessions: Awaited<ReturnType<typeof openSessions>>,
    file: CorpusFile,
    exchange: Exchange,
  ): Promise<Pick<Finding, "statuses" | "differences">> {
    try {
      const [verdict] = await replayExchange(sessions, file, exchange, []);
      if (verdict === undefined) throw new Error(`${exchange.id}: no verdict`);
      return { statuses: [verdict.status, verdict.ourStatus], differences: verdict.unmeant };
    } catch (error) {
      // Without an answer of one of the two there is nothing to compare.
      const message = error instanceof Error ? error.message : String(error);
      return { statuses: [0, 0], differences: [{ path: "error", "kube-apiserver": undefined, tlsboot: message }] };
    }
  }
}

/** The scene as the comparison knows files; literal values in it are never blanked. */
function asCorpusFile({ seed, index, exchanges, setup }: Scene, name: string): CorpusFile {
  return {
    name: `seed ${seed}, scene ${index}`,
    title: "",
    requests: {},
    certificates: {},
    exchanges,
    text: JSON.stringify([...setup, ...exchanges]).replaceAll("${scene}", name),
  };
}
