//! How the code and the documents are laid out, held by tests: modules use only those above them, files do not import each
//! other in circles, comments keep the rules that a program can check, and links lead somewhere.

mod circles;
mod comments;
mod links;
mod modules;
mod order;
