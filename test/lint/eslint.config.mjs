// Rules for TypeScript and for the scripts in plain JavaScript. Each rule that is off says why.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/node_modules/', 'dist/', 'native/build*/', 'results/', 'docs/api/html/'] },
  js.configs.recommended,
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly', URL: 'readonly' },
    },
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: 'test/lint/tsconfig.json', tsconfigRootDir: process.cwd() },
    },
    rules: {
      // The compiler checks names, with types.
      'no-undef': 'off',
      // Numbers, booleans and bigints read well in text; objects are still refused.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: false },
      ],
    },
  },
);
