export { default } from './knexfile.ts';
