// What an author tells of an experiment, put beside its definition by the names of parts and figures.
import type { Say, Story } from '../core/story.js';
import type { Experiment } from '../core/types.js';

export interface Telling {
  abstract: Say;
  /** By part. */
  stories: Readonly<Record<string, Story>>;
  /** By figure. */
  captions: Readonly<Record<string, Say>>;
}

export const telling =
  ({ abstract, stories, captions }: Telling) =>
  (experiment: Experiment): Experiment => ({
    ...experiment,
    abstract,
    figures: experiment.figures.map((figure) => {
      const says = captions[figure.id];
      return says === undefined ? figure : { ...figure, says };
    }),
    plan: (options) => {
      const plan = experiment.plan(options);
      const parts = plan.parts.map((part) => {
        const story = stories[part.name];
        return story === undefined ? part : { ...part, story };
      });
      return { ...plan, parts };
    },
  });
