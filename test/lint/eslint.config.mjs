// Rules for TypeScript and for the scripts in plain JavaScript. Each rule that is off says why.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/node_modules/', 'dist/', 'native/build*/', 'results/', 'docs/api/html/'] },
  js.configs.recommended,
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
      },
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
      // Numbers, booleans, bigints and what is absent read well in text; objects are still refused.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      // A leading underscore says that a position is skipped.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' },
      ],
      // The functions of native bindings have no `this`, and are taken out of their objects.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Doubles of asynchronous functions need not wait for anything.
      '@typescript-eslint/require-await': 'off',
      // Parameters of points are JSON values; the tests know which of them are text.
      '@typescript-eslint/no-base-to-string': 'off',
    },
  },
);
