/** The pages of the web app, in the order of the navigation, and the actions of their forms. */
import type { UiAction, UiPage } from "../page.ts";
import { activityPage } from "./activity.tsx";
import { caPage } from "./ca.tsx";
import { calendarPage } from "./calendar.tsx";
import { certificatePage, certificatesPage } from "./certificates.tsx";
import { approveExpectedAction, expectedPage, planExpectedAction } from "./expected.tsx";
import { machinePage, machinesPage } from "./machines.tsx";
import { approveRequestAction, denyRequestAction, requestPage, requestsPage } from "./requests.tsx";
import { revocationPage, revocationsPage, revokeAction, revokePage, unrevokeAction } from "./revocations.tsx";
import { deleteTokenAction, tokenPage, tokensPage } from "./tokens.tsx";

/** All pages. A path without variables comes before one with variables that would match it. */
export const UI_PAGES: readonly UiPage[] = [
  requestsPage,
  requestPage,
  expectedPage,
  machinesPage,
  machinePage,
  certificatesPage,
  calendarPage,
  certificatePage,
  revocationsPage,
  revocationPage,
  revokePage,
  tokensPage,
  tokenPage,
  caPage,
  activityPage,
];

/** All actions of the forms on these pages. */
export const UI_ACTIONS: readonly UiAction[] = [
  approveRequestAction,
  denyRequestAction,
  planExpectedAction,
  approveExpectedAction,
  revokeAction,
  unrevokeAction,
  deleteTokenAction,
];
