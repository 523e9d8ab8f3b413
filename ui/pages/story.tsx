/** The page `/story`: the picture, the present step with its reasons and its commands, and the steps so far. */
import { AppError } from "../../core/errors.ts";
import { PostForm } from "../layout.tsx";
import type { UiAction, UiContext, UiElement, UiPage } from "../page.ts";
import type { BoardStep, StoryBoard } from "../story/board.ts";
import { CHAPTERS, findChapter, STEP_IDS, STEPS, type StepText } from "../story/chapters.ts";
import { PictureView } from "./story_picture.tsx";

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
          if (id === undefined) throw new AppError("invalid", "the page names a step that the story does not have");
          board.next(id);
          return Promise.resolve({ kind: "moved", location: "/story" });
        },
      },
      {
        path: "/story/mode",
        run(_context, form) {
          const mode = form.get("mode");
          if (mode !== "auto" && mode !== "step") throw new AppError("invalid", "the page names an unknown pace");
          board.setMode(mode);
          const message = mode === "auto"
            ? "The story goes on by itself, with a pause to read after each step."
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
          {present === undefined ? <Opening /> : <Present step={present} number={board.steps.length} />}
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

function Present({ step, number }: { readonly step: BoardStep; readonly number: number }): UiElement {
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
        The story is over. The server goes on until the demo is stopped in its terminal: the{" "}
        <a href="/requests">requests</a> are still there.
      </p>
    );
  }
  if (nextId === undefined) return <p class="faint">The last step is being done.</p>;
  return (
    <div class="controls">
      <PostForm context={context} action="/story/next" hidden={{ next: nextId }}>
        <button type="submit" id="next">{board.steps.length === 0 ? "Begin" : "Next step"}</button>
      </PostForm>
      <PostForm context={context} action="/story/mode" hidden={{ mode: mode === "auto" ? "step" : "auto" }}>
        <button type="submit" id="mode" class="quiet">{mode === "auto" ? "Wait for me" : "Go on by itself"}</button>
      </PostForm>
      <noscript>
        <a href="/story">Show what has happened</a>
      </noscript>
      <span class="faint">
        {board.isWaiting ? "" : "This step is being done."}
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
