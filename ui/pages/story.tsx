/**
 * The page `/story`: the picture, the current step with its reasons and commands, and the steps so far. The picture is
 * SVG; its colours are in the style of the page, for light and dark.
 */
import { AppError } from "../../core/errors.ts";
import { PostForm } from "../layout.tsx";
import type { UiAction, UiContext, UiElement, UiPage } from "../page.ts";
import {
  type BoardStep,
  chooseMachines,
  describeMachine,
  describePicture,
  type DrawnMachine,
  type DrawnRequest,
  type Flow,
  type Picture,
  type StoryBoard,
} from "../story/board.ts";
import { CHAPTERS, findChapter, STEP_IDS, STEPS, type StepText } from "../story/chapters.ts";

/** The id of the board in the page's stream of events. */
export const STORY_ID = "story";

export function createStoryPage(
  board: StoryBoard,
): { readonly page: UiPage; readonly actions: readonly UiAction[] } {
  return {
    page: {
      path: "/story",
      nav: "Story",
      live: [STORY_ID],
      render(context) {
        board.open();
        return { title: "TLS bootstrapping", body: <Story board={board} context={context} /> };
      },
    },
    actions: [
      {
        path: "/story/next",
        run(_context, form) {
          const seen = form.get("next") ?? "";
          const [id] = STEP_IDS.filter((known) => known === seen);
          if (id === undefined) throw new AppError("invalid", "the story has no such step");
          board.next(id);
          return Promise.resolve({ kind: "moved", location: "/story" });
        },
      },
      {
        path: "/story/mode",
        run(_context, form) {
          const mode = form.get("mode");
          if (mode !== "auto" && mode !== "step") throw new AppError("invalid", "unknown pace of the story");
          board.setMode(mode);
          const message = mode === "auto"
            ? "The story continues by itself, with a pause to read after each step."
            : "The story waits for you before each step.";
          return Promise.resolve({ kind: "moved", location: "/story", message });
        },
      },
    ],
  };
}

function Story({ board, context }: { readonly board: StoryBoard; readonly context: UiContext }): UiElement {
  const present = board.steps.at(-1);
  return (
    <div class="story">
      <div id="picture" data-swap>
        <PictureView picture={board.picture} />
      </div>
      <div>
        <div id="present" data-swap aria-live="polite">
          {present === undefined ? <Opening /> : <CurrentStep step={present} number={board.steps.length} />}
        </div>
        <div id="controls" data-swap>
          <Controls board={board} context={context} />
        </div>
        <div id="log" data-swap>
          {present === undefined || present.lines.length === 0 ? "" : <Log step={present} />}
        </div>
      </div>
      <div id="steps" data-swap>
        <Steps board={board} />
      </div>
    </div>
  );
}

function Opening(): UiElement {
  return (
    <p class="lead">
      Machines that have nothing but a token get certificates, renew them, lose them, and get them back. Everything that
      you see here happens on this computer while you watch.
    </p>
  );
}

function CurrentStep({ step, number }: { readonly step: BoardStep; readonly number: number }): UiElement {
  const text = STEPS[step.id];
  return (
    <>
      <p class="faint">{`${findChapter(step.id).title} · step ${number} of ${STEP_IDS.length}`}</p>
      <h2 class="title">{text.title(step.cast)}</h2>
      <Reasons text={text} />
    </>
  );
}

function Reasons({ text: { happens, why, without } }: { readonly text: StepText }): UiElement {
  const reasons = [["What happens", happens], ["Why", why], ["Without it", without]] as const;
  return (
    <dl class="reasons">
      {reasons.map(([title, sentences]) => (
        <div>
          <dt>{title}</dt>
          <dd>{sentences}</dd>
        </div>
      ))}
    </dl>
  );
}

function Controls({ board, context }: { readonly board: StoryBoard; readonly context: UiContext }): UiElement {
  const { nextId, mode } = board;
  if (board.hasEnded) {
    return (
      <p>
        The story has ended. The server runs until the demo is stopped in its terminal: the{" "}
        <a href="/requests">requests</a> are still there.
      </p>
    );
  }
  if (nextId === undefined) return <p class="faint">The last step is running.</p>;
  return (
    <div class="controls">
      <PostForm context={context} action="/story/next" hidden={{ next: nextId }}>
        <button type="submit" id="next">{board.steps.length === 0 ? "Begin" : "Next step"}</button>
      </PostForm>
      <PostForm context={context} action="/story/mode" hidden={{ mode: mode === "auto" ? "step" : "auto" }}>
        <button type="submit" id="mode" class="quiet">{mode === "auto" ? "Wait for me" : "Continue by itself"}</button>
      </PostForm>
      <noscript>
        <a href="/story">Show what has happened</a>
      </noscript>
      <span class="faint">
        {board.isWaiting ? "" : "This step is running."}
      </span>
    </div>
  );
}

function Log({ step }: { readonly step: BoardStep }): UiElement {
  return (
    <>
      <h3>The same in a terminal</h3>
      <pre tabindex={0} aria-label="Commands and answers of this step">
        {step.lines.map((line) => {
          if (line.kind === "command") return <b>{`$ ${line.text}\n`}</b>;
          return `${line.kind === "fact" && line.isVerified === true ? "ok " : ""}${line.text.trimEnd()}\n`;
        })}
      </pre>
    </>
  );
}

/** The chapters with their steps; a step that has been shown can be read again. */
function Steps({ board }: { readonly board: StoryBoard }): UiElement {
  return (
    <>
      <h2>The chapters</h2>
      <ol class="chapters">
        {CHAPTERS.map((chapter) => (
          <li>
            <strong>{chapter.title}</strong>
            {board.steps.filter(({ id }) => STEPS[id].chapter === chapter.id).map(({ id, cast }) => (
              <details id={`step-${id}`}>
                <summary>{STEPS[id].title(cast)}</summary>
                <Reasons text={STEPS[id]} />
              </details>
            ))}
          </li>
        ))}
      </ol>
    </>
  );
}

/** The size of the picture, in the units of its coordinates. A phone of 360 pixels shows it in about this size. */
const [WIDTH, HEIGHT] = [360, 456];
/** How many requests are drawn, and how many boxes of machines. */
const [SHOWN_REQUESTS, SHOWN_BOXES] = [4, 6];
const GAP = 8;

/** The picture: approver and signer, the API server with its requests, and the machines. */
function PictureView({ picture }: { readonly picture: Picture }): UiElement {
  const { authority, server, flow, requests, issued, hasRule } = picture;
  const others = requests.length - SHOWN_REQUESTS;
  const shown = requests.slice(0, SHOWN_REQUESTS);
  return (
    <svg class="picture" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-labelledby="picture-title picture-text">
      <title id="picture-title">The parts of TLS bootstrapping</title>
      <desc id="picture-text">{describePicture(picture)}</desc>
      <Box x={0} y={0} width={176} height={78} title="Approver" isThere={server !== "none"}>
        <text x={10} y={44}>a person approves</text>
        <text x={10} y={64} class={hasRule ? undefined : "missing"}>a rule approves</text>
      </Box>
      <Box x={184} y={0} width={176} height={78} title="Signer" isThere={authority !== undefined}>
        <text x={10} y={44}>{`key of ${authority ?? "the CA"}`}</text>
        <text x={10} y={64} class="good">{issued === 0 ? "" : `${issued} certificate${issued === 1 ? "" : "s"}`}</text>
      </Box>
      <Arrow x={88} y={78} flow={flow?.between === "approver" ? flow : undefined} />
      <Arrow x={272} y={78} flow={flow?.between === "signer" ? flow : undefined} />
      <Box x={0} y={112} width={WIDTH} height={132} title={SERVER[server]} isThere={server !== "none"}>
        {shown.map((request, index) => <Request request={request} y={46 + index * 20} />)}
        {others > 0 ? <text x={10} y={126} class="small">{`and ${others} earlier requests`}</text> : ""}
      </Box>
      <Arrow x={180} y={244} flow={flow?.between === "machines" ? flow : undefined} />
      <Machines picture={picture} />
    </svg>
  );
}

const SERVER: Readonly<Record<Picture["server"], string>> = {
  none: "API server",
  running: "API server: requests",
  stopped: "API server: stopped",
};

interface BoxProps {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly isThere: boolean;
  readonly kind?: string;
  readonly children?: unknown;
}

function Box({ x, y, width, height, title, isThere, kind = "", children }: BoxProps): UiElement {
  return (
    <g transform={`translate(${x} ${y})`} class={isThere ? kind : "absent"}>
      <rect x={1} y={1} width={width - 2} height={height - 2} rx={6} class="box" />
      <text x={10} y={22} class="name">{title}</text>
      {isThere ? (children as UiElement) : ""}
    </g>
  );
}

/** A connection between two rows of the picture, with a label while it is in use. */
function Arrow({ x, y, flow }: {
  readonly x: number;
  readonly y: number;
  readonly flow: Flow | undefined;
}): UiElement {
  const isRefused = flow?.between === "machines" && flow.isRefused;
  return (
    <g class={flow === undefined ? "arrow" : isRefused ? "arrow used refused" : "arrow used"}>
      <path d={`M${x} ${y}v34`} />
      {flow === undefined ? "" : (
        <>
          <rect x={x - 88} y={y + 6} width={176} height={22} rx={11} class="label" />
          <text x={x} y={y + 21} text-anchor="middle">{flow.words}</text>
        </>
      )}
    </g>
  );
}

const STATE_CLASS: Readonly<Record<DrawnRequest["state"], string>> = {
  pending: "wait",
  approved: "wait",
  issued: "good",
  refused: "bad",
};

function Request(
  { request: { name, state, by }, y }: { readonly request: DrawnRequest; readonly y: number },
): UiElement {
  const how = by === undefined
    ? state
    : `${state}, ${{ person: "by a person", rule: "by a rule", token: "by its token" }[by]}`;
  return (
    <>
      <text x={10} y={y}>{name}</text>
      <text x={WIDTH - 12} y={y} text-anchor="end" class={STATE_CLASS[state]}>{how}</text>
    </>
  );
}

function Machines({ picture }: { readonly picture: Picture }): UiElement {
  const hasThief = picture.thief !== "none";
  const { shown, others } = chooseMachines(picture, SHOWN_BOXES - (hasThief ? 1 : 0));
  const boxes = [
    ...shown.map((machine) => ({
      title: machine.name,
      lines: splitWords(describeMachine(machine)),
      kind: getKind(machine),
    })),
    ...(others > 0 ? [{ title: `${others} more`, lines: ["machines"], kind: "" }] : []),
    ...(hasThief ? [THIEF[picture.thief]] : []),
  ];
  const width = (WIDTH - 2 * GAP) / 3;
  return (
    <>
      {boxes.map(({ title, lines, kind }, index) => (
        <Box
          x={(index % 3) * (width + GAP)}
          y={278 + Math.floor(index / 3) * 92}
          width={width}
          height={84}
          title={title}
          isThere
          kind={kind}
        >
          {SIGNS[kind] === undefined
            ? ""
            : <path class="sign" d={SIGNS[kind]} transform={`translate(${width - 26} 10)`} />}
          {lines.map((line, row) => <text x={10} y={44 + row * 17} class="small">{line}</text>)}
        </Box>
      ))}
    </>
  );
}

const THIEF: Readonly<
  Record<Picture["thief"], { readonly title: string; readonly lines: string[]; readonly kind: string }>
> = {
  none: { title: "", lines: [], kind: "thief" },
  ready: { title: "thief", lines: ["has a copy"], kind: "thief" },
  watching: { title: "thief", lines: ["sees all", "requests"], kind: "thief" },
  lockedOut: { title: "thief", lines: ["locked out"], kind: "bad" },
};

/** A mark for each kind of box, because colour alone is not enough: a check, a cross, and a ticket for a token. */
const SIGNS: Readonly<Record<string, string>> = {
  good: "M2 8l4 4l8 -9",
  bad: "M3 3l10 10M13 3l-10 10",
  wait: "M1 4h14v8h-14zM10 4v8",
  // An open eye.
  thief: "M1 8q7 -10 14 0q-7 10 -14 0zM8 7v2",
};

function getKind({ holds, isOff }: DrawnMachine): string {
  if (isOff) return "off";
  return { token: "wait", valid: "good", expired: "bad", revoked: "bad", nothing: "" }[holds];
}

/** Splits a description into lines that fit into a box. */
function splitWords(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= 13) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
