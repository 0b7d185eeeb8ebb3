"""The teaching side: lessons, the playground, exercises and the glossary."""
