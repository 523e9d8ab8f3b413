/** The pages of the web app, in the order of the navigation, and the actions of their forms. */
import type { UiAction, UiPage } from "../page.ts";
import { approveExpectedAction, expectedPage, planExpectedAction } from "./expected.tsx";
import { approveRequestAction, denyRequestAction, requestPage } from "./request.tsx";
import { requestsPage } from "./requests.tsx";

/** The pages; each one is a file of this folder. */
export const UI_PAGES: readonly UiPage[] = [requestsPage, requestPage, expectedPage];

/** The actions; each one is beside the page with its form. */
export const UI_ACTIONS: readonly UiAction[] = [
  approveRequestAction,
  denyRequestAction,
  planExpectedAction,
  approveExpectedAction,
];
