import type { Page } from '../page.ts';
import { jobsPage } from './jobs.ts';

/** Every page of the portal, in the order of the navigation. */
export const pages: readonly Page[] = [jobsPage];
