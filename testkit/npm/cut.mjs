// Cuts GitHub's API description to the paths that are called: `node cut.mjs FOLDER OUTPUT PATH...`. The whole takes a server long to read.
import { readFileSync, writeFileSync } from 'node:fs';

const [folder, output, ...paths] = process.argv.slice(2);
const file = `${folder}/node_modules/@octokit/openapi/generated/api.github.com.deref.json`;
const whole = JSON.parse(readFileSync(file, 'utf8'));
for (const path of paths) {
    if (!(path in whole.paths)) {
        throw new Error(`${path} is not in the description`);
    }
}
whole.paths = Object.fromEntries(paths.map((path) => [path, whole.paths[path]]));
// Some of GitHub's own examples of answers lack what its description says they have. Requests stay as strict as they are.
const loosen = (schema) => {
    if (schema && typeof schema === 'object') {
        if (Array.isArray(schema.required)) {
            delete schema.required;
        }
        Object.values(schema).forEach(loosen);
    }
};
for (const methods of Object.values(whole.paths)) {
    for (const operation of Object.values(methods)) {
        for (const response of Object.values(operation.responses ?? {})) {
            for (const content of Object.values(response.content ?? {})) {
                loosen(content.schema);
                // An example that is null says that there is none.
                if (Object.values(content.examples ?? {}).some((example) => example.value === null)) {
                    delete content.examples;
                }
            }
        }
    }
}
delete whole.components;
delete whole['x-webhooks'];
delete whole.webhooks;
writeFileSync(output, JSON.stringify(whole));
